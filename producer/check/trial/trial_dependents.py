"""The trial of views over the planned tables: built, empty, over the next ones."""

from __future__ import annotations

from collections.abc import Iterator

from producer.check.findings import Finding, warning
from producer.check.trial.attempt import attempt
from sql.catalogue.dependents import Dependents, View, read_views
from sql.session.connection import Connection
from sql.session.statements import Statement
from sql.swap.views_beside import column_types, create_view, fill, give_parts


def try_views(connection: Connection, dependents: Dependents) -> Iterator[Finding]:
    """Build all of them over next tables that stand. The caller rolls its transaction back."""
    failed: list[int] = []
    built: list[View] = []
    for view in dependents.views:
        if failed and view.oid in {above.oid for above in read_views(connection, failed)}:
            continue
        finding = attempt(connection, None, _named(view), create_view(connection, dependents, view))
        if finding is not None:
            failed.append(view.oid)
            yield finding
            continue
        built.append(view)
        yield from _changed_types(connection, view)
    if failed:
        return
    for view in built:
        finding = attempt(connection, None, _named(view), _finish(connection, dependents, view))
        if finding is not None:
            yield finding


def _named(view: View) -> str:
    return f"{'materialized view' if view.materialized else 'view'} {view.full_name}"


def _finish(connection: Connection, dependents: Dependents, view: View) -> Iterator[Statement]:
    yield from give_parts(connection, dependents, view)
    if view.materialized:
        yield from fill(connection, view, rows_too=False)


def _changed_types(connection: Connection, view: View) -> Iterator[Finding]:
    """Clients that read the view see the new types, from whichever plan."""
    before = column_types(connection, view.schema, view.name)
    after = column_types(connection, view.next_schema, view.name)
    columns = [name for name, kind in before.items() if after[name] != kind]
    if columns:
        yield warning(
            "view_changes_type",
            f"{_named(view)} is carried over, and its columns {', '.join(columns)} become "
            f"{', '.join(sorted({after[name] for name in columns}))}",
            hint="Check that its readers accept the new types.",
            view=view.full_name,
            columns=columns,
        )
