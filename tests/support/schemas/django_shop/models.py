"""Models as they are written where uuids are kept in CharFields."""

import uuid

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models


def new_id() -> str:
    return str(uuid.uuid4())


class Owner(models.Model):
    id = models.CharField(max_length=36, primary_key=True, default=new_id)
    token = models.CharField(max_length=36, unique=True, default=new_id)
    slug = models.SlugField(unique=True)


class Item(models.Model):
    id = models.CharField(max_length=36, primary_key=True, default=new_id)
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE)
    session = models.CharField(max_length=36, db_index=True, null=True)
    trace = models.TextField(db_index=True, null=True)
    name = models.CharField(max_length=50, db_index=True)
    at = models.DateTimeField(auto_now_add=True)
    tags = models.ManyToManyField("Tag")


class Tag(models.Model):
    id = models.CharField(max_length=36, primary_key=True, default=new_id)


class Note(models.Model):
    """Something about a row of any model."""

    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE)
    object_id = models.CharField(max_length=36, db_index=True)
    subject = GenericForeignKey("content_type", "object_id")
