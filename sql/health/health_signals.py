"""Signals of the database's health, read now: what the governor follows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Literal

from replank.plan.operation.governor_plan import GovernorPlan
from replank.wording import counted, verb
from sql.health.server_machine import free_bytes
from sql.session.connection import Connection, row, rows, value
from sql.session.named_queries import query

MB = 1024 * 1024
NOT_LOST = 0.5
"""A slot is over its limit at this share of max_slot_wal_keep_size: beyond all of it the replica is lost."""

PROBE_PATIENCE = 4
"""A probe is stopped at this many times its limit: it is over it by then."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One signal. `strain` is 1.0 at its limit; `words` give value and limit for people.

    `backlog`: it only goes down when less is written, so nothing at all may be written while it is over. `problem`:
    why it could not be read; then nothing else of it counts. `value` and `limit` have the signal's own unit: bytes,
    sessions, transactions or milliseconds.
    """

    signal: str
    strain: float = 0.0
    words: str = ""
    backlog: bool = False
    problem: str = ""
    value: float = 0.0
    limit: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What is known of the server's machine: None where it cannot be seen from here."""

    cpus: int | None
    data_directory: Path | None


def read_health(connection: Connection, plan: GovernorPlan, machine: Machine) -> list[Reading]:
    """Every signal that is checked and there is. Raises psycopg.OperationalError if the connection is lost."""
    found: list[Reading] = []
    for signal, read in _SIGNALS.items():
        if signal in plan.off:
            continue
        try:
            found += read(connection, plan, machine)
        except psycopg.Error as error:
            if connection.closed:
                raise
            found.append(Reading(signal=signal, problem=str(error).splitlines()[0]))
    return found


def _replicas(connection: Connection, plan: GovernorPlan, _: Machine) -> Iterator[Reading]:
    for replica in rows(connection, query("health.replicas")):
        if replica["bytes"] is None:
            yield _hidden(connection, "replay_lag", "pg_read_all_stats")
            return
        yield _bytes("replay_lag", f"replica {replica['subject']} is", replica["bytes"], plan.replay_lag_mb, "behind")


def _slots(connection: Connection, plan: GovernorPlan, _: Machine) -> Iterator[Reading]:
    for slot in rows(connection, query("health.slots")):
        limit = float(plan.slot_retained_mb)
        if slot["at_most"] is not None:
            limit = min(limit, max(slot["at_most"] / MB * NOT_LOST, 1.0))
        yield _bytes("slot_retained", f"slot {slot['subject']} holds back", slot["bytes"], limit, "of WAL")


def _archive(connection: Connection, plan: GovernorPlan, _: Machine) -> Iterator[Reading]:
    if not value(connection, query("health.archiving")):
        return
    may = row(connection, query("health.may_read"))
    if may is None or not may["archive"]:
        yield _hidden(connection, "archive_waiting", "pg_monitor")
        return
    waiting = value(connection, query("health.archive_waiting"))
    yield _bytes("archive_waiting", "the archive waits for", waiting, plan.archive_waiting_mb, "of WAL")


def _backends(connection: Connection, plan: GovernorPlan, machine: Machine) -> Iterator[Reading]:
    cpus = plan.server_cpus or machine.cpus
    if cpus is None:
        return
    if not _sees_activity(connection):
        yield _hidden(connection, "active_backends", "pg_read_all_stats")
        return
    active, limit = value(connection, query("health.active_backends")), plan.active_backends_per_cpu * cpus
    words = f"{counted(round(active), 'statement')} of the application {verb(round(active), 'runs')} (limit {limit})"
    yield Reading(signal="active_backends", strain=active / limit, words=words, value=active, limit=limit)


def _locks(connection: Connection, plan: GovernorPlan, _: Machine) -> Iterator[Reading]:
    if not _sees_activity(connection):
        yield _hidden(connection, "waiting_locks", "pg_read_all_stats")
        return
    waiting = value(connection, query("health.waiting_locks"))
    words = f"{counted(round(waiting), 'session', 'waits')} for locks (limit {plan.waiting_locks})"
    limit = plan.waiting_locks
    yield Reading(signal="waiting_locks", strain=waiting / limit, words=words, value=waiting, limit=limit)


def _xmin(connection: Connection, plan: GovernorPlan, _: Machine) -> Iterator[Reading]:
    if not _sees_activity(connection):
        yield _hidden(connection, "xmin_age", "pg_read_all_stats")
        return
    oldest = row(connection, query("health.xmin_age"))
    if oldest is None:
        return
    words = f"{oldest['subject']} is {counted(round(oldest['age']), 'transaction')} behind (limit {plan.xmin_age:,})"
    age, limit = oldest["age"], plan.xmin_age
    yield Reading(signal="xmin_age", strain=age / limit, words=words, backlog=True, value=age, limit=limit)


def _disk(_: Connection, plan: GovernorPlan, machine: Machine) -> Iterator[Reading]:
    if machine.data_directory is None:
        return
    free = free_bytes(machine.data_directory)
    if free is None:
        yield Reading(signal="free_disk", problem=f"{machine.data_directory} cannot be read any more")
        return
    words = f"{free / MB:,.0f} MB are free on the server's disk (limit {plan.free_disk_mb:,} MB)"
    limit = plan.free_disk_mb * MB
    yield Reading(signal="free_disk", strain=limit / max(free, 1), words=words, backlog=True, value=free, limit=limit)


def _probe(connection: Connection, plan: GovernorPlan, _: Machine) -> Iterator[Reading]:
    if plan.probe is None:
        return
    began = time.monotonic()
    try:
        with connection.transaction():
            patience = Literal(plan.probe_ms * PROBE_PATIENCE)
            connection.execute(SQL("SET LOCAL statement_timeout = {}").format(patience))
            connection.execute("SET LOCAL transaction_read_only = on")
            connection.execute(plan.probe.encode()).fetchall()
    except errors.QueryCanceled:
        pass  # that it took too long is what the figure says
    ms = (time.monotonic() - began) * 1000
    words, limit = f"the probe took {ms:.0f} ms (limit {plan.probe_ms})", plan.probe_ms
    yield Reading(signal="probe", strain=ms / limit, words=words, value=ms, limit=limit)


def _bytes(signal: str, who: str, found: float, limit_mb: float, what: str) -> Reading:
    words = f"{who} {found / MB:,.0f} MB {what} (limit {limit_mb:,.0f} MB)"
    limit = limit_mb * MB
    return Reading(signal=signal, strain=found / limit, words=words, backlog=True, value=found, limit=limit)


def _hidden(connection: Connection, signal: str, role: str) -> Reading:
    me = value(connection, SQL("SELECT quote_ident(current_user)"))
    words = f"this role may not read it; GRANT {role} TO {me}; or name it in the plan: [governor] off"
    return Reading(signal=signal, problem=words)


def _sees_activity(connection: Connection) -> bool:
    may = row(connection, query("health.may_read"))
    return may is not None and bool(may["activity"])


_SIGNALS: dict[str, Callable[[Connection, GovernorPlan, Machine], Iterator[Reading]]] = {
    "replay_lag": _replicas,
    "slot_retained": _slots,
    "archive_waiting": _archive,
    "active_backends": _backends,
    "waiting_locks": _locks,
    "xmin_age": _xmin,
    "free_disk": _disk,
    "probe": _probe,
}
