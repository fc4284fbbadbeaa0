"""Django's ORM with CharField ids, as a program of its own: its settings belong to the whole process."""

import json
import os
import sys
from typing import Any

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

URL = conninfo_to_dict(os.environ["CLIENT_URL"])
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": URL["dbname"],
            "HOST": URL["host"],
            "PORT": str(URL["port"]),
            "USER": URL["user"],
            "PASSWORD": URL["password"],
            "OPTIONS": json.loads(os.environ["CLIENT_OPTIONS"]),
        }
    },
    USE_TZ=True,
)
django.setup()

from django.db import Error, models  # noqa: E402


class Owner(models.Model):
    id = models.CharField(max_length=36, primary_key=True)

    class Meta:
        app_label = "client"
        db_table = "owner"


class Item(models.Model):
    id = models.CharField(max_length=36, primary_key=True)
    owner = models.ForeignKey(Owner, models.CASCADE)
    note = models.CharField(max_length=50)

    class Meta:
        app_label = "client"
        db_table = "item"


def run(said: dict[str, str]) -> str:
    one = Item.objects.filter(id=said["item"])
    match said["kind"]:
        case "insert":
            Item.objects.create(id=said["item"], owner_id=said["owner"], note="x")
        case "by id":
            found = one.first()
            return type(found.id).__name__ if found else ""
        case "IN":
            list(Item.objects.filter(id__in=[said["item"], said["other"]]))
        case "join":
            list(Item.objects.filter(owner__id=said["owner"]).select_related("owner"))
        case "update":
            one.update(owner_id=said["owner"])
        case "delete":
            one.delete()
    return ""


def answer(said: dict[str, Any]) -> None:
    print(json.dumps(said), flush=True)


answer({})
for line in sys.stdin:
    try:
        answer({"type": run(json.loads(line))})
    except Error as error:
        answer({"error": str(error)})
