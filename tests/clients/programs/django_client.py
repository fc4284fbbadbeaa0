"""Django's ORM with CharField ids, as a program of its own: its settings belong to the whole process."""

import json
import os
import sys
import uuid

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

Id = models.CharField
if "CLIENT_ID_FIELD" in os.environ:
    # A class of the documentation's.
    given: dict[str, type[models.CharField]] = {}
    exec(os.environ["CLIENT_ID_FIELD"], {"models": models}, given)
    (Id,) = given.values()


class Owner(models.Model):
    id = Id(max_length=36, primary_key=True)

    class Meta:
        app_label = "client"
        db_table = "owner"


class Item(models.Model):
    id = Id(max_length=36, primary_key=True)
    owner = models.ForeignKey(Owner, models.CASCADE)
    note = models.CharField(max_length=50)

    class Meta:
        app_label = "client"
        db_table = "item"


def run(kind: str, item: str, owner: str, other: str) -> str:
    one = Item.objects.filter(id=item)
    match kind:
        case "insert":
            Item.objects.create(id=item, owner_id=owner, note="x")
        case "by id":
            found = one.first()
            return type(found.id).__name__ if found else ""
        case "IN":
            list(Item.objects.filter(id__in=[item, other]))
        case "join":
            list(Item.objects.filter(owner__id=owner).select_related("owner"))
        case "update":
            one.update(owner_id=owner)
        case "bulk insert":
            Item.objects.bulk_create([Item(id=str(uuid.uuid4()), owner_id=owner, note="x") for _ in range(2)])
        case "bulk update":
            Item.objects.bulk_update([Item(id=item, owner_id=owner)], ["owner"])
        case "delete":
            one.delete()
    return ""


def answer(word: str, said: str) -> None:
    print(f"{word}\t{' '.join(said.split())}", flush=True)


answer("ok", "")
for line in sys.stdin:
    try:
        answer("ok", run(*line.rstrip("\n").split("\t")))
    except Error as error:
        answer("error", str(error))
