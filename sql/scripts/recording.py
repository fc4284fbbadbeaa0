"""Recording: what the product's own functions say to PostgreSQL, kept as text for scripts that people read.

While it lasts, statements that change something are kept; questions to the catalogue are not. With `dry`, what is kept
is not executed: so nothing is locked that others use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from sql.session.connection import Connection

_CHANGES = frozenset(
    ("ALTER", "ANALYZE", "COMMENT", "CREATE", "DELETE", "DO", "DROP", "GRANT", "INSERT", "LOCK", "REFRESH", "REVOKE")
) | {"SET", "TRUNCATE", "UPDATE", "VACUUM"}

_SETTING = re.compile(r"pg_catalog\.set_config\('([^']*)', '((?:[^']|'')*)', (?:true|false)\)")


@contextmanager
def recording(connection: Connection, *, dry: bool = False) -> Iterator[list[str]]:
    """The statements that change something, in their order, without semicolons. Settings become SET LOCAL."""
    kept: list[str] = []
    present: dict[str, str] = {}
    wanted: dict[str, str] = {}

    before = connection.cursor_factory

    # Of the present kind: a recording within another one keeps its statements for both.
    class Recorder(before):  # type: ignore[valid-type,misc]
        records = True

        def execute(self, query: Any, params: Any = None, **how: Any) -> Any:
            text = query.as_string(self) if isinstance(query, Composable) else str(query)
            wanted.update(_settings(text))
            if text.split(None, 1)[0].upper() not in _CHANGES:
                return super().execute(query, params, **how)
            for name, value in wanted.items():
                if present.get(name) != value:
                    kept.append(_set(name, value))
            present.update(wanted)
            kept.append(text if params is None else psycopg.ClientCursor(connection).mogrify(query, params))
            return self if dry else super().execute(query, params, **how)

    connection.cursor_factory = cast(Any, Recorder)
    try:
        yield kept
    finally:
        connection.cursor_factory = before


def is_recording(connection: Connection) -> bool:
    """Whether what is said on this connection becomes a script."""
    return bool(getattr(connection.cursor_factory, "records", False))


def _settings(text: str) -> dict[str, str]:
    if not text.startswith("SELECT pg_catalog.set_config("):
        return {}
    found = ((name, value.replace("''", "'")) for name, value in _SETTING.findall(text))
    return {name: value for name, value in found if not name.endswith("_timeout")}


def _set(name: str, value: str) -> str:
    """A search_path is a list of names; every other value is a text."""
    said = SQL(value) if name == "search_path" else Literal(value)
    return SQL("SET LOCAL {} TO {}").format(Identifier(name), said).as_string(None)
