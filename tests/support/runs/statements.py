"""What one connection says to the server, statement by statement."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, cast

import psycopg
from psycopg.sql import Composable

from sql import ledger
from sql.session.connection import Connection
from sql.session.named_queries import query
from sql.session.typed_queries import TypedStatement


@dataclass
class Said:
    """Statements since the last `forget`, each as its name (its text where it has none) and its parameters."""

    statements: list[tuple[str, str]] = field(default_factory=list)

    def forget(self) -> list[tuple[str, str]]:
        """Returns them."""
        said, self.statements = self.statements, []
        return said


def asked_twice(statements: list[tuple[str, str]]) -> set[str]:
    """The statements of the ledger that read the same more than once."""
    reads = {name for name, text in _statements().items() if "replank." in text and not _writes(text)}
    return {name for (name, _), times in Counter(statements).items() if times > 1 and name in reads}


@contextmanager
def listening_to(connection: Connection) -> Iterator[Said]:
    """Everything that is executed on the connection meanwhile."""
    said = Said()
    names = {text: name for name, text in _statements().items()}

    class Listening(psycopg.Cursor[Any]):
        def execute(self, statement: Any, params: Any = None, **how: Any) -> Listening:
            text = statement.as_string(None) if isinstance(statement, Composable) else str(statement)
            said.statements.append((names.get(text, text), repr(params)))
            return super().execute(statement, params, **how)

    before = connection.cursor_factory
    connection.cursor_factory = cast(Any, Listening)
    try:
        yield said
    finally:
        connection.cursor_factory = before


@cache
def _named() -> Mapping[str, str]:
    """The text of every named query, by `file.block`."""
    found = {}
    for entry in (files("sql") / "queries").iterdir():
        file = entry.name.removesuffix(".sql")
        heads = (line for line in entry.read_text(encoding="utf-8").splitlines() if line.startswith("-- "))
        for head in heads:
            name = f"{file}.{head[3:].split(':')[0]}"
            if ": " in head and " " not in name:
                found[name] = query(name).as_string(None)
    return found


@cache
def _statements() -> Mapping[str, str]:
    """The text of every named query, and of every Core expression of the ledger by `module._NAME`."""
    found = dict(_named())
    for name, statement in ledger_statements():
        if isinstance(statement.statement, str):
            continue
        found[name] = statement.text.as_string(None)
    return found


def ledger_statements() -> Iterator[tuple[str, TypedStatement]]:
    """Every statement that a module of the ledger keeps, by `module._NAME`."""
    for module in pkgutil.walk_packages(ledger.__path__, f"{ledger.__name__}."):
        if module.name.startswith("sql.ledger.upgrades."):
            continue
        for name, kept in vars(importlib.import_module(module.name)).items():
            if isinstance(kept, TypedStatement):
                yield f"{module.name.rpartition('.')[2]}.{name}", kept


def _writes(text: str) -> bool:
    return any(word in text for word in ("INSERT INTO", "UPDATE replank", "DELETE FROM"))
