"""Measuring a database: one query once, plans of statements, tables, counters, rights. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier

from replank.values.measurement import AuditPart, MeasuredColumn, MeasuredTable, SecurityFact
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.session.connection import Connection, apply_settings, row, rows, value
from sql.session.named_queries import query
from sql.values.uuid_texts import is_valid

PREPARED = "replank_measured"

_TIMED = SQL("EXPLAIN (ANALYZE, TIMING OFF, BUFFERS, SUMMARY, FORMAT JSON) ")


@dataclass(frozen=True, kw_only=True)
class Once:
    """One execution: planning and execution in milliseconds, rows, 8 kB blocks read or found in memory, the plan."""

    ms: float
    rows: int
    blocks: int
    plan: Mapping[str, Any]


@contextmanager
def read_only(connection: Connection, *, timeout_ms: int, lock_timeout_ms: int) -> Iterator[None]:
    """A transaction in which nothing can be changed, with the settings that the application's sessions have."""
    limits = {"statement_timeout": f"{timeout_ms}ms", "lock_timeout": f"{lock_timeout_ms}ms"}
    with connection.transaction(force_rollback=True):
        apply_settings(connection, {"transaction_read_only": "on", **limits}, local=True)
        connection.execute("SET LOCAL search_path TO DEFAULT")
        connection.execute("SET LOCAL jit TO DEFAULT")
        yield


def time_once(connection: Connection, statement: str) -> Once:
    """Execute a statement in a transaction of `read_only`, as the server counts it. Raises psycopg.Error.

    What it answers never leaves the server: neither the network nor the client's conversion is in the time.
    """
    document = _explained(connection, _TIMED + SQL(statement))
    plan = document["Plan"]
    return Once(
        ms=document["Planning Time"] + document["Execution Time"],
        rows=round(plan["Actual Rows"] * plan["Actual Loops"]),
        blocks=plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0),
        plan=plan,
    )


def generic_plan(connection: Connection, statement: str) -> Mapping[str, Any]:
    """The plan of a statement with parameters `$1`, whatever their values. Raises psycopg.Error.

    The same on every version: EXPLAIN's own GENERIC_PLAN is there from 16 on only.
    """
    prepared = Identifier(PREPARED)
    apply_settings(connection, {"plan_cache_mode": "force_generic_plan"}, local=True)
    _alone(connection, SQL("PREPARE {} AS ").format(prepared) + SQL(statement))
    try:
        count = int(value(connection, query("measuring.parameters"), {"name": PREPARED}))
        given = SQL("({})").format(SQL(", ").join([SQL("NULL")] * count)) if count else SQL("")
        explain = SQL("EXPLAIN (FORMAT JSON) EXECUTE {}{}").format(prepared, given)
        return dict(_explained(connection, explain)["Plan"])
    finally:
        if connection.info.transaction_status is not psycopg.pq.TransactionStatus.INERROR:
            connection.execute(SQL("DEALLOCATE {}").format(prepared))


def forget_prepared(connection: Connection) -> None:
    """A prepared statement outlives the transaction that failed after it."""
    if row(connection, query("measuring.parameters"), {"name": PREPARED}) is not None:
        connection.execute(SQL("DEALLOCATE {}").format(Identifier(PREPARED)))


def _explained(connection: Connection, statement: Composable) -> Mapping[str, Any]:
    found = _alone(connection, statement).fetchone()
    assert found is not None
    document: Mapping[str, Any] = found[0][0]
    return document


def _alone(connection: Connection, statement: Composable) -> psycopg.Cursor[Any]:
    """The extended protocol takes one statement at a time: none can bring a COMMIT along."""
    cursor = connection.cursor(binary=True)
    return cursor.execute(Composed([statement]), binary=True)


def frequent_statements(connection: Connection, limit: int) -> list[tuple[str, str]] | None:
    """Name and text of the statements that read, those with the greatest total time first.

    Those that read the catalogue or the ledger are left out, and so are those that this role may not see. None
    where pg_stat_statements is not installed.
    """
    extension = row(connection, query("measuring.statements_extension"))
    if extension is None:
        return None
    statement = SQL(
        "SELECT queryid::text, query FROM {}"
        " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND query ~* '^\\s*(select|with|table|values)\\M' AND query !~* '\\mreplank\\M|\\mpg_'"
        " GROUP BY 1, 2 ORDER BY sum(total_exec_time) DESC LIMIT {}"
    ).format(Identifier(extension["schema"], "pg_stat_statements"), limit)
    return [(f"statement {number}", text) for number, (_, text) in enumerate(connection.execute(statement), start=1)]


def read_tables(connection: Connection, schemas: Iterable[str]) -> list[MeasuredTable]:
    """Every table of these schemas. A partition is part of its parent."""
    return [
        MeasuredTable(
            **{
                **r,
                "uuid_key": tuple(r["uuid_key"]),
                "key": tuple(r["key"]),
                "columns": tuple(MeasuredColumn(**c) for c in r["columns"]),
            }
        )
        for r in rows(connection, query("measuring.tables"), {"schemas": sorted(schemas)})
    ]


def read_activity(connection: Connection) -> dict[str, Any]:
    """Commits, rollbacks, deadlocks and lost sessions of this database, summed since `counted_since`."""
    return row(connection, query("measuring.activity")) or {}


def read_security(connection: Connection) -> list[SecurityFact]:
    return [SecurityFact(**r) for r in rows(connection, query("measuring.security"))]


def unvalidated_keys(connection: Connection, schemas: Iterable[str]) -> list[str]:
    """Foreign keys that hold for new rows only."""
    found = rows(connection, query("measuring.unvalidated_keys"), {"schemas": sorted(schemas)})
    return [f"{r['table']}: {r['name']}" for r in found]


def invalid_indexes(connection: Connection, schemas: Iterable[str]) -> list[str]:
    found = rows(connection, query("measuring.invalid_indexes"), {"schemas": sorted(schemas)})
    return [f"{r['table']}: {r['name']}" for r in found]


def audited(connection: Connection, schema: str) -> dict[str, tuple[str, ...]]:
    """Table → writes that the audit log in `schema` captures now, of insert, update, delete, truncate."""
    found = rows(connection, query("measuring.audit_triggers"), {"schema": schema})
    return {f"{r['schema']}.{r['name']}": tuple(r["captured"]) for r in found}


def audit_parts(connection: Connection, schema: str) -> tuple[AuditPart, ...]:
    """What captures for the audit log in `schema`, and what acts on the log's own tables, as they are now."""
    with connection.transaction():
        # How the server writes names in a definition depends on it.
        apply_settings(connection, {"search_path": "pg_catalog"}, local=True)
        return tuple(AuditPart(**r) for r in rows(connection, query("measuring.audit_parts"), {"schema": schema}))


def counted_lookups(connection: Connection, schema: str) -> tuple[int, int] | None:
    """Hits and misses of the permission cache in `schema`, since it was made; None where there is none."""
    name = Identifier(schema, "metrics")
    if value(connection, SQL("SELECT to_regclass({})").format(name.as_string(connection))) is None:
        return None
    found = connection.execute(SQL("SELECT coalesce(sum(hits), 0), coalesce(sum(misses), 0) FROM {}").format(name))
    hits, misses = found.fetchone() or (0, 0)
    return int(hits), int(misses)


def count_lost_texts(connection: Connection, spec: TableSpec, column: ColumnSpec) -> int | None:
    """Texts of the past table that are no uuids and became NULL; None where the past table is gone."""
    past = Identifier(spec.past_schema, spec.name)
    if value(connection, SQL("SELECT to_regclass({})").format(past.as_string(connection))) is None:
        return None
    text = SQL("{}::pg_catalog.text").format(Identifier(column.name))
    statement = SQL("SELECT count(*) FROM {} WHERE {} IS NOT NULL AND NOT {}").format(
        past, Identifier(column.name), is_valid(text, connection.info.server_version)
    )
    return int(value(connection, statement))


def error_text(error: psycopg.Error) -> str:
    """The server's own words with its code."""
    return f"{error.diag.message_primary or str(error).strip()} ({error.sqlstate or 'no SQLSTATE'})"
