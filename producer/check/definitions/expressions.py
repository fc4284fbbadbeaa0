"""The plan's own expressions: whether they can be written into the next table, and whether they can be compared."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import errors
from psycopg.sql import SQL, Composable

from producer.check.findings import Finding, blocker
from producer.planning.prepared_run import PreparedRun, Subject
from sql.catalogue.catalogue import ForeignKey
from sql.rows.backfill import disturbing_triggers, filled_columns, keyed_columns, may_be_quiet
from sql.rows.copy import joined_source
from sql.session.connection import Connection, run
from sql.session.server_message import without_rows
from sql.values.conversion import column_list, next_value

TRIED_ROWS = 50
TRIES = 3
"""What a join gives may have been changed by others between two moments, but hardly three times running."""


def audit_expressions(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """Evaluates expressions for a few rows, twice, in transactions of their own; changes nothing."""
    found: list[Finding] = []
    for subject in audited.readable:
        if any(column.value for column in subject.spec.columns) or subject.spec.join:
            found += _unstable(connection, subject)
        found += _unique_on_partitioned(subject)
        found += _disturbing(connection, subject)
    for key in audited.foreign_keys:
        found += _policy_torn(audited, key)
    return found


def _unstable(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """A value that is another one each time: verification could never end."""
    columns = [column for column in subject.spec.compared_columns if column.value]
    version = connection.info.server_version
    try:
        for column in columns:
            # A row that another session has changed meanwhile is another row: its version is read with its value.
            statement = SQL(
                "SELECT ARRAY[live.tableoid::text, live.ctid::text, live.xmin::text], ({})::text"
                " FROM {} ORDER BY {} LIMIT {}"
            ).format(
                next_value(column, "live", version),
                joined_source(subject.spec),
                column_list(subject.spec.key_columns, "live"),
                TRIED_ROWS,
            )
            if all(_differs(connection, statement) for _ in range(TRIES)):
                yield blocker(
                    "not_stable",
                    f"value of {column.name} ({column.value}) returns another result at each call: it cannot be "
                    "verified",
                    hint="Set stable = false there: then the column is not compared.",
                    table=subject.name,
                    column=column.name,
                )
    except errors.OperationalError:
        # A lost connection or a lock that was waited for too long is no fault of the plan.
        raise
    except errors.DatabaseError as error:
        yield blocker(
            "expression_failed",
            f"PostgreSQL cannot evaluate the plan's expressions: {without_rows(error)}",
            hint=error.diag.message_hint or "Qualify tables and functions with their schemas; the row is called live.",
            table=subject.name,
            sqlstate=error.sqlstate,
        )


def _differs(connection: Connection, statement: Composable) -> bool:
    """Whether the same version of any row has two values, at two moments."""
    first, second = ({tuple(row): value for row, value in run(connection, statement).fetchall()} for _ in range(2))
    return any(first[row] != second[row] for row in first.keys() & second.keys())


def _disturbing(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """Filling a row in place is an UPDATE: the application's triggers would take it for one of its own."""
    spec = subject.spec
    if spec.method != "backfill" or not filled_columns(spec):
        return
    triggers = disturbing_triggers(connection, spec) + [c.name for c in spec.columns if c.on_update]
    keyed = keyed_columns(connection, spec)
    if not triggers or (may_be_quiet(connection) and not keyed):
        return
    why = f"{', '.join(keyed)} is checked by a foreign key" if keyed else "this role has no right to disable them"
    yield blocker(
        "triggers_would_fire",
        f"filling rows in place would fire {', '.join(triggers)}: {why}",
        hint="GRANT SET ON PARAMETER session_replication_role to the role, or set method = 'rebuild' in the plan.",
        table=subject.name,
        triggers=triggers,
    )


def _unique_on_partitioned(subject: Subject) -> Iterator[Finding]:
    for column in subject.spec.columns:
        if column.unique and subject.spec.next_partitioned:
            yield blocker(
                "unique_on_partitioned",
                f"column {column.name} cannot be unique alone: the table is partitioned",
                hint="Remove unique = true, and create a unique index that includes the partition key yourself.",
                table=subject.name,
                column=column.name,
            )


def _policy_torn(audited: PreparedRun, key: ForeignKey) -> Iterator[Finding]:
    """A text must become the same uuid at both ends of a foreign key."""
    columns = {(s.live.oid, c.name): c for s in audited.subjects for c in s.converted}
    for column, ref_column in zip(key.columns, key.ref_columns, strict=True):
        child, parent = columns.get((key.table_oid, column)), columns.get((key.ref_oid, ref_column))
        if child is None or parent is None:
            continue
        if (child.on_invalid == "name_based") != (parent.on_invalid == "name_based"):
            yield blocker(
                "policy_torn",
                f"foreign key {key.name}: on_invalid is {child.on_invalid} for {key.schema}.{key.table_name}.{column} "
                f"and {parent.on_invalid} for {key.ref_schema}.{key.ref_table}.{ref_column}",
                hint="Set name_based for both columns or for neither: a text must become the same uuid everywhere.",
                table=f"{key.schema}.{key.table_name}",
                column=column,
                foreign_key=key.name,
            )
