"""Who works in the studio."""

from django.db import models
from people.ids import new_id


class Member(models.Model):
    id = models.CharField(max_length=36, primary_key=True, default=new_id)
    token = models.CharField(max_length=36, unique=True, default=new_id)
    email = models.CharField(max_length=200, unique=True)
    invited_by = models.ForeignKey("self", on_delete=models.SET_NULL, null=True)
