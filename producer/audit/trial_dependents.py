"""The trial of what hangs on the planned tables: views, functions, policies, rules, publications over the next ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from producer.audit.attempt import attempt
from producer.audit.findings import Audited, Finding, warning
from sql.beside import column_types, create_view, fill, give_parts, make_schemas
from sql.connection import Connection, run
from sql.dependents import (
    Dependents,
    Function,
    Part,
    View,
    looking_in,
    moved_away,
    read_dependents,
    read_parts,
    read_views,
)
from sql.next_table import server_text


def try_dependents(connection: Connection, audited: Audited) -> list[Finding]:
    """Build all of it, empty, over next tables that stand. The caller rolls its transaction back."""
    dependents = read_dependents(connection, [subject.spec for subject in audited.subjects])
    make_schemas(connection, dependents)
    return [*_views(connection, dependents), *_parts(connection, dependents)]


def _views(connection: Connection, dependents: Dependents) -> Iterator[Finding]:
    failed: list[int] = []
    built: list[View] = []
    for view in dependents.views:
        if failed and view.oid in {above.oid for above in read_views(connection, failed)}:
            continue
        finding = attempt(connection, None, _named(view), partial(create_view, connection, dependents, view))
        if finding is not None:
            failed.append(view.oid)
            yield finding
            continue
        built.append(view)
        yield from _changed_types(connection, view)
    if failed:
        return
    for view in built:
        finding = attempt(connection, None, _named(view), partial(_finish, connection, dependents, view))
        if finding is not None:
            yield finding


def _named(view: View) -> str:
    return f"{'materialized view' if view.materialized else 'view'} {view.full_name}"


def _finish(connection: Connection, dependents: Dependents, view: View) -> None:
    give_parts(connection, dependents, view)
    if view.materialized:
        fill(connection, view, rows_too=False)


def _changed_types(connection: Connection, view: View) -> Iterator[Finding]:
    """Clients that read the view see the new types, whoever planned them."""
    before = column_types(connection, view.schema, view.name)
    after = column_types(connection, view.next_schema, view.name)
    columns = [name for name, kind in before.items() if after[name] != kind]
    if columns:
        yield warning(
            "view_changes_type",
            f"{_named(view)} is carried over, and its columns {', '.join(columns)} become "
            f"{', '.join(sorted({after[name] for name in columns}))}",
            hint="See that its readers can do with that.",
            view=view.full_name,
            columns=columns,
        )


def _parts(connection: Connection, dependents: Dependents) -> Iterator[Finding]:
    parts = read_parts(connection, dependents, beside=True)
    for function in dependents.functions:
        what = f"function {function.signature}"
        finding = attempt(connection, None, what, partial(_move_away, connection, function))
        if finding is not None:
            yield finding
    for part in parts:
        finding = attempt(connection, None, f"{part.what} {part.name}", partial(_make, connection, dependents, part))
        if finding is not None:
            yield finding


def _move_away(connection: Connection, function: Function) -> None:
    run(connection, moved_away(function))


def _make(connection: Connection, dependents: Dependents, part: Part) -> None:
    with looking_in(connection, dependents.next_path(part.schema)):
        if part.what == "function":
            connection.execute("SET LOCAL check_function_bodies = off")
        for statement in part.statements:
            connection.execute(server_text(statement))
