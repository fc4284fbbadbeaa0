"""Conversion sets of a run in the ledger: tables that are swapped together, and how that went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import ColumnElement, Double, and_, func, insert, literal_column, select, update
from sqlalchemy.dialects.postgresql import JSONB

from replank.errors import NeedsOperator
from replank.values.states import SwapWait, TableState, sources
from sql.ledger.schema.table_tables import CONVERSION_SET
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, among, given, seconds


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


_S = CONVERSION_SET.c
_RUN = _S.run_id == given("run_id")
_SET = and_(_RUN, _S.set_no == given("set_no"))
_CHANGE = update(CONVERSION_SET).where(_SET)
_NOTHING_AWAITED = {"waits_for": None, "waits_subject": "", "problem": ""}
_AWAITED = {"waits_for": given("waits_for"), "waits_subject": given("subject"), "problem": given("problem")}


def _longest(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.greatest(column, given("longest_wait_ms", Double))


_ADD = Command(insert(CONVERSION_SET).values({name: given(name) for name in ("run_id", "set_no", "foreign_keys")}))
_SETS = Query(select(CONVERSION_SET).where(_RUN).order_by(_S.set_no), ConversionSet)
_BY_NO = Query(select(CONVERSION_SET).where(_SET), ConversionSet)
_MOVE = Command("ledger.move_set")
_POSTPONE = Query(
    _CHANGE.values(
        attempts=_S.attempts + 1,
        chance=given("chance"),
        longest_wait_ms=_longest(_S.longest_wait_ms),
        not_before=func.clock_timestamp() + seconds("delay_s"),
        **_AWAITED,
    ).returning(_S.attempts),
    int,
)
_HOLD = Command(_CHANGE.values(**_AWAITED))
_BLOCK = Command(_CHANGE.values(**{**_NOTHING_AWAITED, "problem": given("problem")}, blocked=True))
_SET_AUTOVACUUM_BEFORE = Command(_CHANGE.values(autovacuum_before=given("before")))
_SET_SWAPPED = Command("ledger.set_swapped")
_SET_LOCK_TIMES = Command(
    _CHANGE.values(
        lock_wait_ms=given("wait_ms"),
        lock_hold_ms=given("hold_ms"),
        chance=given("chance"),
        longest_wait_ms=_longest(_S.longest_wait_ms),
    )
)
_KNOWN_BEFORE = func.coalesce(_S.rollback_facts, literal_column("'{}'"))
_SET_ROLLBACK_FACTS = Command(_CHANGE.values(rollback_facts=_KNOWN_BEFORE.op("||")(given("known", JSONB))))
_SET_SWAPPED_BACK = Command(
    _CHANGE.where(_S.swapped_back_at.is_(None), _S.swapped_at.is_not(None)).values(
        swapped_back_at=func.clock_timestamp(), **_NOTHING_AWAITED
    )
)
_SET_SWAP_BACK_TIMES = Command(
    _CHANGE.values(
        swap_back_wait_ms=given("wait_ms"),
        swap_back_hold_ms=given("hold_ms"),
        swap_back_longest_wait_ms=_longest(_S.swap_back_longest_wait_ms),
    )
)
_RECONNECTED_AT = func.coalesce(_S.reconnected_at, literal_column("'-infinity'"))
_TO_RECONNECT = Query(
    select(_S.set_no)
    .where(_RUN, func.coalesce(_S.swapped_back_at, _S.swapped_at) > _RECONNECTED_AT)
    .order_by(_S.set_no),
    int,
)
_SET_RECONNECTED = Command(
    update(CONVERSION_SET).where(_RUN, among(_S.set_no, "sets")).values(reconnected_at=func.clock_timestamp())
)


def add_set(connection: Connection, run_id: int, set_no: int, foreign_keys: Sequence[Mapping[str, Any]]) -> None:
    _ADD(connection, run_id=run_id, set_no=set_no, foreign_keys=Jsonb(list(foreign_keys)))


def move_set(connection: Connection, conversion_set: ConversionSet, state: TableState) -> int:
    """Move every table of a set that may go there. Returns how many did."""
    return _MOVE(connection, **_id(conversion_set), state=state, sources=sources(state))


def read_sets(connection: Connection, run_id: int) -> list[ConversionSet]:
    return _SETS.all(connection, run_id=run_id)


def read_set(connection: Connection, run_id: int, set_no: int) -> ConversionSet:
    found = _BY_NO.first(connection, run_id=run_id, set_no=set_no)
    if found is None:
        raise NeedsOperator(f"Conversion set {set_no} of run {run_id} is not in the ledger.")
    return found


def _id(conversion_set: ConversionSet) -> dict[str, int]:
    return {"run_id": conversion_set.run_id, "set_no": conversion_set.set_no}


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
    attempts = _POSTPONE.first(
        connection,
        **_id(conversion_set),
        delay_s=delay_s,
        waits_for=waits_for,
        subject=subject,
        problem=problem,
        chance=chance,
        longest_wait_ms=longest_wait_ms,
    )
    return attempts or 0


def hold_set(
    connection: Connection, conversion_set: ConversionSet, waits_for: SwapWait | None, *, subject: str, problem: str
) -> None:
    """What its cutover waits for, in words too; None and no words take it back."""
    _HOLD(connection, **_id(conversion_set), waits_for=waits_for, subject=subject, problem=problem)


def block_set(connection: Connection, conversion_set: ConversionSet, problem: str) -> None:
    """Only the operator can let this cutover continue."""
    _BLOCK(connection, **_id(conversion_set), problem=problem)


def set_autovacuum_before(
    connection: Connection, conversion_set: ConversionSet, before: Mapping[str, str | None] | None
) -> None:
    """What autovacuum_enabled was on the live tables before the cutover."""
    document = None if before is None else Jsonb(dict(before))
    _SET_AUTOVACUUM_BEFORE(connection, **_id(conversion_set), before=document)


def set_swapped(connection: Connection, conversion_set: ConversionSet, *, rows_drained: int) -> bool:
    """The cutover's word. False if it was said before: then the caller must not commit a second swap."""
    return _SET_SWAPPED(connection, **_id(conversion_set), rows=rows_drained) > 0


def set_lock_times(
    connection: Connection,
    conversion_set: ConversionSet,
    *,
    wait_ms: float,
    hold_ms: float,
    longest_wait_ms: float,
    chance: float | None,
) -> None:
    """How long the cutover waited for and held its locks."""
    times = {"wait_ms": wait_ms, "hold_ms": hold_ms, "longest_wait_ms": longest_wait_ms}
    _SET_LOCK_TIMES(connection, **_id(conversion_set), **times, chance=chance)


def set_rollback_facts(connection: Connection, conversion_set: ConversionSet, known: Mapping[str, Any]) -> None:
    """Add to what a rollback after the swap will need and could not read any more."""
    _SET_ROLLBACK_FACTS(connection, **_id(conversion_set), known=Jsonb(dict(known)))


def set_swapped_back(connection: Connection, conversion_set: ConversionSet) -> bool:
    """The word of the swap back. False if it was said before: then the caller must not commit a second one."""
    return _SET_SWAPPED_BACK(connection, **_id(conversion_set)) > 0


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
    _SET_SWAP_BACK_TIMES(connection, **_id(conversion_set), **times)


def sets_to_reconnect(connection: Connection, run_id: int) -> list[int]:
    """Numbers of sets whose last swap, forward or back, no pooler has reconnected after."""
    return _TO_RECONNECT.all(connection, run_id=run_id)


def set_reconnected(connection: Connection, run_id: int, sets: Sequence[int]) -> None:
    """Poolers have reconnected after these sets' last swap."""
    _SET_RECONNECTED(connection, run_id=run_id, sets=list(sets))
