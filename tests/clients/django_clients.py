"""Django's ORM."""

from __future__ import annotations

import json
import sys

from clients.client import KINDS, Client
from clients.processes import PROGRAMS, ProcessSession


def _client(name: str, **options: bool) -> Client:
    def opened(url: str) -> ProcessSession:
        command = [sys.executable, str(PROGRAMS / "django_client.py")]
        return ProcessSession(command, url, {"CLIENT_OPTIONS": json.dumps(options)})

    kinds = tuple(kind for kind in KINDS if kind != "ANY")
    return Client(name=name, sends="without a type", change="nothing", open=opened, kinds=kinds)


CLIENTS = (
    _client("Django 5.2, `CharField`"),
    _client("Django 5.2, `CharField`, `server_side_binding`", server_side_binding=True),
)
