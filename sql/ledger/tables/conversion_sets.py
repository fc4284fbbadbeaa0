"""Conversion sets of a run in the ledger: tables that are swapped together, and how that went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb

from replank.errors import NeedsOperator
from replank.values.states import SwapWait, TableState, sources
from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class ConversionSet:
    """Tables that cut over together. `foreign_keys` are documents of `producer.planning.conversion_sets`."""

    run_id: int
    set_no: int
    foreign_keys: Sequence[Mapping[str, Any]]
    attempts: int
    not_before: datetime
    waits_for: SwapWait | None
    """Why its cutover waits, though no operator is needed."""
    waits_subject: str
    """Which pause, window, proof or error that is."""
    problem: str
    """The same in words; or what the operator has to do, where it is blocked."""
    blocked: bool
    swapped_at: datetime | None
    lock_wait_ms: float | None
    lock_hold_ms: float | None
    chance: float | None
    longest_wait_ms: float | None
    rows_last_drain: int | None
    autovacuum_before: Mapping[str, str | None] | None
    rollback_facts: Mapping[str, Any] | None
    """What a rollback after the swap needs; None where nothing is captured for one."""
    swapped_back_at: datetime | None
    swap_back_wait_ms: float | None
    swap_back_hold_ms: float | None
    reconnected_at: datetime | None
    swap_back_longest_wait_ms: float | None

    @property
    def due(self) -> bool:
        return self.not_before <= datetime.now(UTC)


def add_set(connection: Connection, run_id: int, set_no: int, foreign_keys: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(
        query("ledger.add_set"),
        {"run_id": run_id, "set_no": set_no, "foreign_keys": Jsonb(list(foreign_keys))},
    )


def move_set(connection: Connection, conversion_set: ConversionSet, state: TableState) -> int:
    """Move every table of a set that may go there. Returns how many did."""
    moved = rows(
        connection,
        query("ledger.move_set"),
        {
            "run_id": conversion_set.run_id,
            "set_no": conversion_set.set_no,
            "state": str(state),
            "sources": sources(state),
        },
    )
    return len(moved)


def read_sets(connection: Connection, run_id: int) -> list[ConversionSet]:
    return [_set(found) for found in rows(connection, query("ledger.sets"), {"run_id": run_id})]


def read_set(connection: Connection, run_id: int, set_no: int) -> ConversionSet:
    found = row(connection, query("ledger.set_by_no"), {"run_id": run_id, "set_no": set_no})
    if found is None:
        raise NeedsOperator(f"Conversion set {set_no} of run {run_id} is not in the ledger.")
    return _set(found)


def _set(found: dict[str, Any]) -> ConversionSet:
    waits_for = None if found["waits_for"] is None else SwapWait(found["waits_for"])
    return ConversionSet(**{**found, "waits_for": waits_for})


def postpone_set(
    connection: Connection,
    conversion_set: ConversionSet,
    *,
    delay_s: float,
    waits_for: SwapWait,
    subject: str = "",
    problem: str,
    chance: float | None = None,
    longest_wait_ms: float = 0.0,
) -> int:
    """Another attempt after `delay_s`. Returns how many there were."""
    found = row(
        connection,
        query("ledger.postpone_set"),
        {
            "run_id": conversion_set.run_id,
            "set_no": conversion_set.set_no,
            "delay_s": delay_s,
            "waits_for": str(waits_for),
            "subject": subject,
            "problem": problem,
            "chance": chance,
            "longest_wait_ms": longest_wait_ms,
        },
    )
    return 0 if found is None else int(found["attempts"])


def hold_set(
    connection: Connection, conversion_set: ConversionSet, waits_for: SwapWait | None, *, subject: str, problem: str
) -> None:
    """What its cutover waits for, in words too; None and no words take it back."""
    waits = {"waits_for": waits_for, "subject": subject, "problem": problem}
    connection.execute(
        query("ledger.hold_set"), {"run_id": conversion_set.run_id, "set_no": conversion_set.set_no, **waits}
    )


def block_set(connection: Connection, conversion_set: ConversionSet, problem: str) -> None:
    """Only the operator can let this cutover continue."""
    connection.execute(
        query("ledger.block_set"),
        {"run_id": conversion_set.run_id, "set_no": conversion_set.set_no, "problem": problem},
    )


def set_autovacuum_before(
    connection: Connection, conversion_set: ConversionSet, before: Mapping[str, str | None] | None
) -> None:
    connection.execute(
        query("ledger.set_autovacuum_before"),
        {
            "run_id": conversion_set.run_id,
            "set_no": conversion_set.set_no,
            "before": None if before is None else Jsonb(dict(before)),
        },
    )


def set_swapped(connection: Connection, conversion_set: ConversionSet, *, rows_drained: int) -> bool:
    """The cutover's word. False if it was said before: then the caller must not commit a second swap."""
    found = row(
        connection,
        query("ledger.set_swapped"),
        {"run_id": conversion_set.run_id, "set_no": conversion_set.set_no, "rows": rows_drained},
    )
    return found is not None


def set_lock_times(
    connection: Connection,
    conversion_set: ConversionSet,
    *,
    wait_ms: float,
    hold_ms: float,
    longest_wait_ms: float,
    chance: float | None,
) -> None:
    connection.execute(
        query("ledger.set_lock_times"),
        {
            "run_id": conversion_set.run_id,
            "set_no": conversion_set.set_no,
            "wait_ms": wait_ms,
            "hold_ms": hold_ms,
            "longest_wait_ms": longest_wait_ms,
            "chance": chance,
        },
    )


def set_rollback_facts(connection: Connection, conversion_set: ConversionSet, known: Mapping[str, Any]) -> None:
    """Add to what a rollback needs to know."""
    named = {"run_id": conversion_set.run_id, "set_no": conversion_set.set_no, "known": Jsonb(dict(known))}
    connection.execute(query("ledger.set_rollback_facts"), named)


def set_swapped_back(connection: Connection, conversion_set: ConversionSet) -> bool:
    """The word of the swap back. False if it was said before: then the caller must not commit a second one."""
    named = {"run_id": conversion_set.run_id, "set_no": conversion_set.set_no}
    return row(connection, query("ledger.set_swapped_back"), named) is not None


def set_swap_back_times(
    connection: Connection,
    conversion_set: ConversionSet,
    *,
    wait_ms: float | None,
    hold_ms: float | None,
    longest_wait_ms: float,
) -> None:
    """Of an attempt that missed, `wait_ms` and `hold_ms` are None."""
    times = {"wait_ms": wait_ms, "hold_ms": hold_ms, "longest_wait_ms": longest_wait_ms}
    connection.execute(
        query("ledger.set_swap_back_times"), {"run_id": conversion_set.run_id, "set_no": conversion_set.set_no, **times}
    )


def sets_to_reconnect(connection: Connection, run_id: int) -> list[int]:
    """Numbers of sets whose last swap, forward or back, no pooler has reconnected after."""
    return [r["set_no"] for r in rows(connection, query("ledger.sets_to_reconnect"), {"run_id": run_id})]


def set_reconnected(connection: Connection, run_id: int, sets: Sequence[int]) -> None:
    connection.execute(query("ledger.set_reconnected"), {"run_id": run_id, "sets": list(sets)})
