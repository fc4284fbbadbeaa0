"""Django's ORM."""

from __future__ import annotations

import json
import sys

from support.schemas.django_page import blocks

from clients.client import KINDS, Client
from clients.processes import PROGRAMS, ProcessSession

BULK = ("bulk insert", "bulk update")


def _client(name: str, sends: str, change: str, *, id_field: str = "", **options: bool) -> Client:
    def opened(url: str) -> ProcessSession:
        command = [sys.executable, str(PROGRAMS / "django_client.py")]
        variables = {"CLIENT_OPTIONS": json.dumps(options)} | ({"CLIENT_ID_FIELD": id_field} if id_field else {})
        return ProcessSession(command, url, variables)

    *most, last = (kind for kind in KINDS if kind != "ANY")
    return Client(name=name, sends=sends, change=change, open=opened, kinds=(*most, *BULK, last))


FIELD = "the field's type, see [django.md](django.md)"

UNTYPED = "without a type"
TYPED_ROWS = f"{UNTYPED}; those of several rows as `varchar`"

CLIENTS = (
    _client("Django 5.2, `CharField`", TYPED_ROWS, FIELD),
    _client("Django 5.2, `CharField`, `server_side_binding`", TYPED_ROWS, FIELD, server_side_binding=True),
    _client("Django 5.2, `TextUuidField`", UNTYPED, "nothing", id_field=blocks("python")[0]),
    _client(
        "Django 5.2, `TextUuidField`, `server_side_binding`",
        UNTYPED,
        "nothing",
        id_field=blocks("python")[0],
        server_side_binding=True,
    ),
)
