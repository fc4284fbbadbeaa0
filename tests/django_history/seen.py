"""What a project's code sees of its ids, as one JSON object: run in the project's folder, with its settings."""

import json
import os
import sys

import django

sys.path[0] = os.getcwd()
django.setup()

from django.core.exceptions import ObjectDoesNotExist, ValidationError  # noqa: E402
from django.db import Error, transaction  # noqa: E402
from people.models import Member  # noqa: E402
from work.models import Comment, Project, Tag  # noqa: E402


def what_is_read() -> str:
    return type(Project.objects.first().pk).__name__


def created_is_equal() -> bool:
    tag = Tag.objects.create(name="seen")
    equal = tag == Tag.objects.get(name="seen")
    tag.delete()
    return equal


def found_by_text() -> bool:
    said = str(Project.objects.first().pk)
    return str(Project.objects.get(pk=said).pk) == said and Project.objects.filter(pk__in=[said]).exists()


def bulk_create() -> bool:
    made = Tag.objects.bulk_create([Tag(name="seen"), Tag(name="seen too")])
    Project.objects.first().tags.add(*made)
    return Tag.objects.filter(name__startswith="seen").delete()[0] == 4


def bulk_update() -> bool:
    project = Project.objects.first()
    return Project.objects.bulk_update([project], ["owner", "trace"]) == 1


def prefix() -> bool:
    project = Project.objects.first()
    return Project.objects.filter(pk__startswith=str(project.pk)[:10]).count() == 1


def related() -> bool:
    project = Project.objects.select_related("owner").prefetch_related("tags").filter(tags__isnull=False).first()
    return project.tags.all()[0] in Tag.objects.filter(project=project) and project.owner == Member.objects.get(
        pk=project.owner_id
    )


def generic_forward() -> bool:
    return all(comment.subject is not None for comment in Comment.objects.prefetch_related("subject"))


def generic_back() -> bool:
    with_comments = [p for p in Project.objects.prefetch_related("comments") if p.comments.all()]
    said = Comment.objects.filter(content_type__model="project").values("object_id").distinct()
    return len(with_comments) == said.count()


def generic_join() -> bool:
    return Project.objects.filter(comments__text="x").exists()


def as_json() -> bool:
    return bool(json.dumps(Project.objects.first().pk))


def no_uuid() -> str:
    Project.objects.get(pk="no uuid")
    return "found"


FACTS = {
    "an id is read as": what_is_read,
    "`json.dumps(id)`": as_json,
    "found by an id as text": found_by_text,
    "`pk__startswith`": prefix,
    "`bulk_create`, `tags.add(a, b)`": bulk_create,
    "`bulk_update` of an id": bulk_update,
    "created object == the same, read": created_is_equal,
    "foreign keys, many-to-many, prefetched": related,
    "`prefetch_related` of a `GenericForeignKey`": generic_forward,
    "`prefetch_related` of a `GenericRelation`": generic_back,
    "a join over a `GenericRelation`": generic_join,
    '`get(pk="no uuid")`': no_uuid,
}


def seen(fact: object) -> str:
    try:
        with transaction.atomic():
            found = fact()  # type: ignore[operator]
    except (Error, ObjectDoesNotExist, ValidationError, TypeError) as error:
        return f"`{type(error).__name__}`"
    return f"`{found}`" if isinstance(found, str) else "yes" if found else "no"


print(json.dumps({name: seen(fact) for name, fact in FACTS.items()}))
