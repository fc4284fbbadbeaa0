"""Why a next table cannot be built: each CHECK and each generated column by its name."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import errors
from psycopg.sql import SQL, Composable, Identifier

from producer.check.findings import Finding, blocker
from producer.check.trial.attempt import attempt
from producer.planning.prepared_run import Subject
from sql.session.connection import Connection, rows, run
from sql.session.named_queries import query
from sql.session.statements import Statement
from sql.session.table_names import live_table, server_text
from sql.values.conversion import type_name
from sql.values.enum_checks import enum_checks

HINT = (
    "Write it so that it works with either type: with `id::uuid::text`, or with `concat(id)` where values may not "
    "be uuids; or drop it before the run and add it again afterwards."
)


def why_not(connection: Connection, subject: Subject) -> list[Finding]:
    """One finding for each that fails on a bare copy of the table with the new types; none where it is something else.

    In the trial's transaction.
    """
    found = [*_generated(connection, subject)]
    try:
        with connection.transaction(force_rollback=True):
            copy = _bare_copy(connection, subject)
            found += _try(connection, subject, copy)
    except errors.OperationalError:
        raise
    except errors.DatabaseError:
        # The types themselves are what cannot be.
        return found
    return found


def _bare_copy(connection: Connection, subject: Subject) -> Identifier:
    """Columns alone, with their new types. It has the table's name: an expression may say it."""
    copy = Identifier("pg_temp", subject.spec.name)
    connection.execute(SQL("CREATE TEMPORARY TABLE {} (LIKE {})").format(copy, live_table(subject.spec)))
    for column in subject.converted:
        statement = SQL("ALTER TABLE {0} ALTER COLUMN {1} TYPE {2} USING {1}::pg_catalog.text::{2}").format(
            copy, Identifier(column.name), type_name(column.next_type)
        )
        run(connection, statement)
    return copy


def _try(connection: Connection, subject: Subject, copy: Identifier) -> Iterator[Finding]:
    over_enums = {check.name for check in enum_checks(connection, subject.spec.oid, subject.spec.columns)}
    for check in rows(connection, query("next_table.binding_checks"), {"oid": subject.spec.oid}):
        if check["name"] in over_enums:
            continue
        added = SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
            copy, Identifier(check["name"]), server_text(check["definition"])
        )
        yield from _finding(connection, subject, f"constraint {check['name']}", added)


def _generated(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """PostgreSQL alters no type of a column that a generated one uses, whatever its expression says."""
    converted = {column.name for column in subject.converted}
    for column in rows(connection, query("next_table.generated"), {"oid": subject.spec.oid}):
        used = sorted(converted & set(column["uses"]))
        if used:
            name = column["name"]
            yield blocker(
                "trial_failed",
                f"generated column {name} of {subject.name} uses {', '.join(used)}, and PostgreSQL does not change "
                f"the type of a column that a generated column uses: {column['expression']}",
                hint=f"Another expression does not help. Drop it before the run (ALTER TABLE {subject.name} DROP "
                f"COLUMN {name}), and add it again afterwards with the new type; `{used[0]}::uuid::text` is the "
                "text of a uuid then, too.",
                table=subject.name,
                column=name,
                object=f"generated column {name} of {subject.name}",
            )


def _finding(connection: Connection, subject: Subject, what: str, statement: Composable) -> Iterator[Finding]:
    made = [Statement(sql=statement)]
    failed = attempt(connection, subject.name, f"{what} of {subject.name}", made, HINT)
    if failed is not None:
        yield failed
