"""Django in processes of its own: it makes the tables of ``django_shop``, and asks them as an application does."""

import json
import os
import subprocess
import sys
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

TESTS = Path(__file__).resolve().parents[2]

_SETTINGS = """
import json, os, django
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **json.loads(os.environ["DJANGO_DATABASE"])}},
    INSTALLED_APPS=["django.contrib.contenttypes", "support.schemas.django_shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True)
django.setup()
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from support.schemas.django_shop.models import Item, Note, Owner, Tag, new_id
"""

_MAKE = """
call_command("migrate", "contenttypes", verbosity=0)
call_command("migrate", run_syncdb=True, verbosity=0)
for number in range(20):
    owner = Owner.objects.create(slug=f"owner-{number}")
    item = Item.objects.create(owner=owner, session=new_id(), trace=new_id(), name=f"item {number}")
    item.tags.add(Tag.objects.create())
    Note.objects.create(subject=item if number % 2 else owner)
"""


def django(url: str, program: str) -> str:
    """What a program prints that has the models at hand. Raises CalledProcessError."""
    said = conninfo_to_dict(url)
    database = {
        "NAME": said["dbname"],
        "HOST": said["host"],
        "PORT": str(said["port"]),
        "USER": said["user"],
        "PASSWORD": said.get("password", ""),
    }
    done = subprocess.run(
        [sys.executable, "-c", _SETTINGS + program],
        env={**os.environ, "PYTHONPATH": str(TESTS), "DJANGO_DATABASE": json.dumps(database)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def create_tables(url: str) -> None:
    """The tables that Django makes in the empty database at ``url``, with some rows."""
    django(url, _MAKE)
