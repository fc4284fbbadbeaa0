"""What a run costs: write-ahead log, disk space and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Double, Text, extract, func, select

from sql.ledger.schema.fact_tables import RUN_MEASURE
from sql.ledger.schema.run_tables import PHASE, STEP
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, given


@dataclass(frozen=True, kw_only=True)
class RunCost:
    """From the data migration's beginning to the last reading. WAL is the whole server's; `bytes_added` is the most."""

    wal_bytes: int
    bytes_added: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class _Took:
    name: str
    seconds: float


def _seconds(since: Column[Any], until: Column[Any]) -> ColumnElement[float]:
    return extract("epoch", until - since).cast(Double).label("seconds")


_MEASURE = Command("costs.measure")
_R = RUN_MEASURE.c
_MEASURED = Query(
    select(
        func.pg_wal_lsn_diff(_R.wal_now, _R.wal_start).cast(BigInteger).label("wal_bytes"),
        (_R.bytes_peak - _R.bytes_start).label("bytes_added"),
        _seconds(_R.started_at, _R.measured_at),
    ).where(_R.run_id == given("run_id")),
    RunCost,
)
_S, _P = STEP.c, PHASE.c
_STEPS = Query(
    select(_S.step.label("name"), _seconds(_S.started_at, _S.finished_at))
    .where(_S.run_id == given("run_id"), _S.finished_at.is_not(None))
    .order_by(_S.step),
    _Took,
)
_PHASE = (_P.phase.cast(Text) + " " + _P.name).label("name")
_PHASES = Query(
    select(_PHASE, _seconds(_P.started_at, _P.finished_at))
    .where(_P.run_id == given("run_id"), _P.finished_at.is_not(None))
    .order_by(_P.phase),
    _Took,
)


def measure(connection: Connection, run_id: int) -> None:
    """Note WAL and size of the database; the first time is the beginning."""
    _MEASURE(connection, run_id=run_id)


def measured(connection: Connection, run_id: int) -> RunCost | None:
    """None where nothing was measured."""
    return _MEASURED.first(connection, run_id=run_id)


def step_seconds(connection: Connection, run_id: int) -> dict[str, float]:
    """Seconds of every step that has ended."""
    return {took.name: took.seconds for took in _STEPS.all(connection, run_id=run_id)}


def phase_seconds(connection: Connection, run_id: int) -> dict[str, float]:
    """Seconds of every phase that has ended, e.g. of `3 data migration`."""
    return {took.name: took.seconds for took in _PHASES.all(connection, run_id=run_id)}
