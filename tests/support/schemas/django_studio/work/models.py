"""What the studio works on."""

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from people.ids import new_id


class Tag(models.Model):
    id = models.CharField(max_length=36, primary_key=True, default=new_id)
    name = models.SlugField(unique=True)


class Project(models.Model):
    id = models.CharField(max_length=36, primary_key=True, default=new_id)
    owner = models.ForeignKey("people.Member", on_delete=models.CASCADE)
    name = models.CharField(max_length=50, db_index=True)
    trace = models.CharField(max_length=36, db_index=True, null=True)
    tags = models.ManyToManyField(Tag)
    comments = GenericRelation("work.Comment")


class Asset(models.Model):
    id = models.CharField(max_length=36, primary_key=True, default=new_id)
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    at = models.DateTimeField(auto_now_add=True)


class Comment(models.Model):
    """Something about a row of any model."""

    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE)
    object_id = models.CharField(max_length=36, db_index=True)
    subject = GenericForeignKey("content_type", "object_id")
    author = models.ForeignKey("people.Member", on_delete=models.CASCADE)
    text = models.TextField()
