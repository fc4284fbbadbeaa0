"""What a scrape reads of a run's ledger: a fixed number of statements, however many jobs there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.sql import Identifier, Literal

from replank.values.table_spec import TableSpec
from sql.session.connection import Connection, row, rows, value
from sql.session.named_queries import query

MOST_COUNTED = 100_000
"""Rows of a change log are counted no further: above that its bytes say enough."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Jobs of one kind, state and table. `bucket` is the place of their seconds among the bounds, if they are done."""

    kind: str
    state: str
    table_no: int | None
    bucket: int | None
    jobs: int
    rows: int
    retries: int
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """When the run moved last, by the server's clock `now`; since when its oldest job has been under way; `sent` jobs
    have a message and no worker yet."""

    moved_at: datetime
    oldest_lease: datetime | None
    sent: int
    window_changed_at: datetime | None
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Log:
    """A change log: `rows` counted up to `MOST_COUNTED`, `bytes` of its heap (deleted rows included)."""

    table: str
    rows: int
    bytes: float


def read_work(connection: Connection, run_id: int, *, bounds: Sequence[float]) -> list[Work]:
    """Every job of a run, counted in one pass; `bounds` are the upper ends of the buckets of seconds."""
    found = rows(connection, query("metrics.work"), {"run_id": run_id, "bounds": list(bounds)})
    return [Work(**each) for each in found]


def read_pulse(connection: Connection, run_id: int) -> Pulse:
    found = row(connection, query("metrics.pulse"), {"run_id": run_id})
    assert found is not None
    return Pulse(**found)


def worker_sessions(connection: Connection) -> int:
    return int(value(connection, query("metrics.worker_sessions")))


def written(connection: Connection, run_id: int) -> Mapping[str, Any]:
    """`wal_bytes` of the whole server and `added_bytes` of the database; empty before the data migration."""
    return row(connection, query("metrics.wal"), {"run_id": run_id}) or {}


def count_events(connection: Connection, run_id: int) -> dict[str, int]:
    return {r["kind"]: r["events"] for r in rows(connection, query("metrics.events"), {"run_id": run_id})}


def read_logs(connection: Connection, logs: Mapping[str, str]) -> list[Log]:
    """Logs of tables, by the tables' names; `logs` gives each log's name in schema replank."""
    named = {"names": list(logs), "logs": list(logs.values())}
    return [
        Log(table=found["name"], rows=_rows_of(connection, found["log"]), bytes=found["bytes"])
        for found in rows(connection, query("metrics.log_lengths"), named)
    ]


def _rows_of(connection: Connection, log: str) -> int:
    counted = query("metrics.log_rows").format(log=Identifier("replank", log), most=Literal(MOST_COUNTED))
    return int(value(connection, counted))


def next_bytes(connection: Connection, specs: Sequence[TableSpec]) -> dict[str, float]:
    """Bytes of the next tables that are being built, by the tables' names."""
    nexts = [Identifier(spec.next_schema, spec.name).as_string(connection) for spec in specs]
    found = rows(connection, query("metrics.next_sizes"), {"names": [spec.full_name for spec in specs], "nexts": nexts})
    return {each["name"]: each["tree"] or each["plain"] for each in found}
