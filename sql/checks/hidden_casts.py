"""Comparisons of varchar ids in stored definitions: PostgreSQL keeps them as `(user_id)::text = (id)::text`.

That text is carried over as it is, and over uuid columns no index serves it. What is made here are proposals for an
operator to run after the cutover; nothing of it is executed but in a trial.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sql.catalogue.dependents import Dependents, looking_in
from sql.session.connection import Connection, rows
from sql.session.named_queries import query

_NAME = r'(?:[a-zA-Z_][\w$]*|"(?:[^"]|"")+")'
_CAST = rf'(?<![\w$".])(?P<{{0}}_open>\()?(?P<{{0}}>(?:{_NAME}\.)*(?P<{{0}}_column>{_NAME}))(?({{0}}_open)\))::text'
_OPERATOR = r" (?P<operator>=|<>|<=|>=|<|>) "
_BOTH = re.compile(_CAST.format("left") + _OPERATOR + _CAST.format("right"))
_LITERAL = re.compile(_CAST.format("left") + _OPERATOR + r"'(?P<text>(?:[^']|'')*)'::text")
_ANY = re.compile(
    _CAST.format("left") + r" (?:=|<>|<=|>=|<|>) |(?:=|<>|<=|>=|<|>) (?:ANY \(+)?" + _CAST.format("right")
)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A stored definition, as a statement that makes it again. `columns` are those of `tables` that it uses."""

    kind: str
    name: str
    class_oid: int
    oid: int
    statement: str
    tables: tuple[int, ...]
    columns: tuple[str, ...]

    def uses(self, table: int, column: str) -> bool:
        return (table, column) in zip(self.tables, self.columns, strict=True)


def read_definitions(connection: Connection, dependents: Dependents) -> list[Definition]:
    """All that read the replaced relations, in names of the present search_path."""
    named = {"oids": dependents.oids, "functions": dependents.function_oids}
    return [
        Definition(
            kind=found["kind"],
            name=found["name"],
            class_oid=found["class"],
            oid=found["oid"],
            statement=found["definition"],
            tables=tuple(found["tables"]),
            columns=tuple(found["columns"]),
        )
        for found in rows(connection, query("hidden_casts.definitions"), named)
    ]


def shortened_statements(connection: Connection, dependents: Dependents, schema: str) -> dict[tuple[int, int], str]:
    """The same definitions in names that `Dependents.next_path` makes mean the next relations."""
    with looking_in(connection, dependents.live_path(schema)):
        return {(d.class_oid, d.oid): d.statement for d in read_definitions(connection, dependents)}


def leading_indexes(connection: Connection, oids: Sequence[int]) -> dict[tuple[int, str], list[str]]:
    """(table, column) → the indexes that begin with it."""
    found: dict[tuple[int, str], list[str]] = {}
    for index in rows(connection, query("hidden_casts.leading_indexes"), {"oids": list(oids)}):
        found.setdefault((index["oid"], index["column"]), []).append(index["name"])
    return found


def compared_as_text(statement: str) -> set[tuple[str, str]]:
    """(qualifier, column) of what some comparison takes for a text; the qualifier is empty where there is none."""
    found = {match.group(side) for match in _ANY.finditer(statement) for side in ("left", "right")}
    # A comparison of two is one match: what follows the operator is checked too.
    found |= {match.group("right") for match in _BOTH.finditer(statement)}
    names = [re.findall(_NAME, reference) for reference in found if reference]
    return {(_unquoted(parts[-2]) if len(parts) > 1 else "", _unquoted(parts[-1])) for parts in names}


def called(statement: str, table: str, qualifier: str) -> bool:
    """Whether the statement reads the table under this name."""
    if table == qualifier:
        return True
    name = rf'(?:"{re.escape(table)}"|{re.escape(table)})'
    return (
        re.search(rf'[.\s(]{name} (?:"{re.escape(qualifier)}"|{re.escape(qualifier)})(?![\w$"])', statement) is not None
    )


def without_casts(statement: str, columns: Collection[str]) -> str | None:
    """The statement with comparisons of uuids; None where one is left that compares these columns as texts."""

    def both(match: re.Match[str]) -> str:
        if not {_unquoted(match["left_column"]), _unquoted(match["right_column"])} <= set(columns):
            return match[0]
        return f"{match['left']} {match['operator']} {match['right']}"

    def literal(match: re.Match[str]) -> str:
        if _unquoted(match["left_column"]) not in columns:
            return match[0]
        return f"{match['left']} {match['operator']} '{match['text']}'::uuid"

    made = _LITERAL.sub(literal, _BOTH.sub(both, statement))
    return None if {column for _, column in compared_as_text(made)} & set(columns) else made


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
