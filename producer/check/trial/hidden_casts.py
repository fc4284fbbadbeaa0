"""Definitions that still compare ids as text after the swap, so that no index serves them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from producer.check.findings import Finding, warning
from producer.check.trial.attempt import attempt
from producer.planning.prepared_run import PreparedRun
from sql.catalogue.dependents import Dependents
from sql.checks.hidden_casts import (
    Definition,
    called,
    compared_as_text,
    leading_indexes,
    read_definitions,
    shortened_statements,
    without_casts,
)
from sql.session.connection import Connection
from sql.session.statements import Statement
from sql.session.table_names import server_text

NO_STATEMENT = {"materialized view", "index"}
"""What has no CREATE OR REPLACE."""


Place = tuple[int, str]
"""A relation's oid and a column's name."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A definition with such a comparison: over which columns, and with which search_path it is tried without."""

    definition: Definition
    tables: tuple[str, ...]
    columns: tuple[str, ...]
    indexes: tuple[str, ...]
    path: str
    shortened: str


def kept_casts(connection: Connection, audited: PreparedRun, dependents: Dependents) -> list[Kept]:
    """Read before anything is moved out of its place."""
    names = {
        (relation.oid, column.name): subject
        for subject in audited.subjects
        for relation in subject.spec.relations
        for column in subject.converted
        if column.next_type == "uuid"
    }
    # A column of a view that reads such a column is one itself, as far as its name tells.
    views = {view.oid for view in dependents.views}
    tables = {relation.oid: relation.name for relation in dependents.replaced}
    plain = {column for _, column in names}
    served = leading_indexes(connection, audited.relation_oids)
    schema = audited.subjects[0].live.schema
    shortened = shortened_statements(connection, dependents, schema)
    found = []
    for definition in read_definitions(connection, dependents):
        places = [
            (table, column)
            for table, column in zip(definition.tables, definition.columns, strict=True)
            if (table, column) in names or (table in views and column in plain)
        ]
        used = _compared(definition, places, tables)
        if not used:
            continue
        found.append(
            Kept(
                definition=definition,
                tables=tuple(dict.fromkeys(names[place].name for place in used if place in names)),
                columns=tuple(dict.fromkeys(column for _, column in used)),
                indexes=tuple(sorted({index for place in used for index in served.get(place, ())})),
                path=dependents.next_path(schema),
                shortened=shortened[definition.class_oid, definition.oid],
            )
        )
    return found


def _compared(definition: Definition, places: Sequence[Place], tables: Mapping[int, str]) -> list[Place]:
    """Those of the columns that it compares as texts, as far as its names for the tables tell."""
    found: list[Place] = []
    for qualifier, column in sorted(compared_as_text(definition.statement)):
        alike = [place for place in places if place[1] == column]
        meant = [place for place in alike if called(definition.statement, tables[place[0]], qualifier)]
        found += meant or alike
    return [place for place in places if place in found]


def try_without_casts(connection: Connection, kept: Sequence[Kept]) -> Iterator[Finding]:
    """In the trial, when all of them stand on the next relations: whether the proposal works is tried."""
    for one in kept:
        statement = without_casts(one.definition.statement, one.columns)
        near = without_casts(one.shortened, one.columns)
        if one.definition.kind in NO_STATEMENT or near is None or _fails(connection, one, near):
            statement = None
        yield _finding(one, statement)


def _fails(connection: Connection, one: Kept, statement: str) -> bool:
    made = Statement(sql=server_text(statement), settings={"search_path": one.path})
    with connection.transaction(force_rollback=True):
        return attempt(connection, None, one.definition.name, [made]) is not None


def _finding(kept: Kept, statement: str | None) -> Finding:
    definition = kept.definition
    what = f"{definition.kind} {definition.name}"
    columns = ", ".join(kept.columns)
    served = "no index supports it now either"
    if kept.indexes:
        served = f"{', '.join(kept.indexes)} can support it now, but not afterwards"
    hint = "After the cutover, write it without the casts"
    match statement, definition.kind:
        case str(), _:
            hint += f": {statement};"
        case None, "materialized view":
            hint += ": drop it and create it again. Until then REFRESH uses no index, not even during the cutover."
        case None, "index":
            hint += ": create the index again with a predicate over uuids, and drop this one."
        case _:
            hint += ", and compare it with a uuid (… = x::uuid)."
    return warning(
        "text_cast_kept",
        f"{what} compares {columns} as text, because PostgreSQL keeps the casts from varchar, and no index on uuid "
        f"supports that; {served}",
        hint=hint,
        table=kept.tables[0] if kept.tables else None,
        object=what,
        columns=list(kept.columns),
        indexes=list(kept.indexes),
        definition=definition.statement,
        statement=statement,
    )
