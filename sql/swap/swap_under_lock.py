"""Two sets of tables are swapped in one transaction: what an attempt may cost, and how it ends.

Cutover, rollback and the swap of a cache prepare each their own scripts; the attempt at the locks is one for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import errors
from psycopg.sql import Composable

from replank.errors import NotProved, OutcomeUnknown, TryAgain
from replank.plan.plan import OptionsPlan
from replank.sqlstates import is_connection_lost
from replank.wording import longest_wait
from sql.session.connection import Connection, apply_settings
from sql.session.isolation_level import require_read_committed, set_read_committed
from sql.session.passing_errors import LOCK_OR_TIME_MISSED
from sql.session.second_session import second_session
from sql.swap.hold_forecast import statements_in, too_long
from sql.swap.lock_attempt import AttemptMissed, Crossing, CrossingPlan, GaveWay
from sql.swap.lock_moment import Traffic
from sql.swap.write_gate import Gate

PASSES = 4
SHORT_PASS_S = 0.015
"""The logs are drained until one pass over all of them is this short: then little can have come in."""

TRIES_S = 8.0
"""How long one attempt keeps trying after it gave way to others."""

REST = 2.0
"""They are left alone for so many times as long as they were kept waiting."""


@dataclass(frozen=True, kw_only=True)
class CutoverLimits:
    """How long the cutover may wait for its locks and hold them, in milliseconds.

    `lock_timeout_ms` is for what is made before; no session waits longer than `wait_ms` for the swap itself.
    """

    lock_timeout_ms: int
    wait_ms: int
    hold_budget_ms: int
    max_log_rows: int
    wait_for_snapshots: bool = True

    @classmethod
    def of(cls, options: OptionsPlan) -> CutoverLimits:
        return cls(
            lock_timeout_ms=options.lock_timeout_ms,
            wait_ms=options.cutover_wait_ms,
            hold_budget_ms=options.cutover_hold_budget_ms,
            max_log_rows=options.cutover_log_rows,
            wait_for_snapshots=options.old_snapshots == "wait",
        )


@dataclass(frozen=True, kw_only=True)
class CutoverTimes:
    """`wait_ms`: from asking for the locks until all were granted; `hold_ms`: from then until commit returned.

    `application_wait_ms` is the longest that another session waited, at most; `chance` that of the moment.
    """

    wait_ms: float
    hold_ms: float
    application_wait_ms: float
    chance: float | None

    def __str__(self) -> str:
        return (
            f"lock waited for {self.wait_ms:.1f} ms, held {self.hold_ms:.1f} ms; "
            f"{longest_wait(self.application_wait_ms)}"
        )


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What was read and composed before the lock, and the oids of all it touches.

    `gate` blocks writers and lets readers continue. `each_ms` is what one statement of `swap` takes, about.
    """

    gate: Gate
    lock: Composable
    swap: Composable
    each_ms: float
    oids: list[int]
    functions: list[int]


def cross(
    first: Connection,
    prepared: Prepared,
    limits: CutoverLimits,
    traffic: Traffic,
    *,
    shortly_before: Callable[[Connection], None],
    drain: Callable[[Connection, int | None], int],
    under_lock: Callable[[Crossing], None],
) -> CutoverTimes:
    """Do `under_lock` in one transaction that holds every lock of what is prepared. Raises as `cut_over`.

    `shortly_before` and `drain` work in a second session. `drain` takes what is logged and returns how much that was;
    with a number it raises TryAgain where there is more: writers wait meanwhile.
    """
    with second_session(first) as second:
        shortly_before(second)
        crossing = _crossing_of(first, second, prepared, limits, traffic, drain)
        return _swap_within_limits(crossing, under_lock)


def drain_until_short(drain: Callable[[], int]) -> None:
    """Leave the last drain next to nothing to do, and its statements planned."""
    for _ in range(PASSES):
        started = time.monotonic()
        drain()
        if time.monotonic() - started < SHORT_PASS_S:
            return


def _crossing_of(
    first: Connection,
    second: Connection,
    prepared: Prepared,
    limits: CutoverLimits,
    traffic: Traffic,
    drain: Callable[[Connection, int | None], int],
) -> Crossing:
    """Raises AttemptMissed where the locks would be held too long."""
    statements = statements_in(prepared.swap)
    words = too_long(statements, prepared.each_ms, limits.hold_budget_ms)
    if words:
        raise AttemptMissed(f"no lock was requested: {words}")
    plan = CrossingPlan(
        wait_ms=limits.wait_ms,
        hold_ms=limits.hold_budget_ms,
        forecast_ms=statements * prepared.each_ms,
        wait_for_snapshots=limits.wait_for_snapshots,
        traffic=traffic,
    )
    return Crossing(
        first=first,
        second=second,
        oids=prepared.oids,
        gate=prepared.gate,
        lock=prepared.lock,
        plan=plan,
        drain=partial(drain, second, None),
        drain_gated=partial(drain, second, limits.max_log_rows),
    )


def _swap_within_limits(crossing: Crossing, under_lock: Callable[[Crossing], None]) -> CutoverTimes:
    """Where it gives way to a session that would wait in a circle, it soon tries again: that costs others little."""
    until, longest_ms = time.monotonic() + TRIES_S, 0.0
    while True:
        try:
            return _swap_once(crossing, under_lock, longest_ms)
        except GaveWay as missed:
            longest_ms = max(longest_ms, missed.application_wait_ms)
            rest_s = REST * missed.application_wait_ms / 1000
            if time.monotonic() + rest_s > until:
                raise GaveWay(str(missed), chance=missed.chance, application_wait_ms=longest_ms) from None
            time.sleep(rest_s)
            crossing = crossing.again()


def _swap_once(crossing: Crossing, under_lock: Callable[[Crossing], None], longest_ms: float) -> CutoverTimes:
    connection = crossing.first
    crossing.wait_for_moment()
    reached_commit = False
    started = time.monotonic()
    try:
        with connection.transaction():
            set_read_committed(connection)
            # What is swapped stays so through a crash: the one COMMIT of a run that must be on disk.
            apply_settings(connection, {"synchronous_commit": "on"}, local=True)
            crossing.take_locks()
            require_read_committed(connection)
            under_lock(crossing)
            crossing.check()
            reached_commit = True
    except (AttemptMissed, NotProved):
        raise
    except TryAgain as error:
        raise crossing.missed(str(error)) from None
    except LOCK_OR_TIME_MISSED as error:
        raise crossing.missed(crossing.why(error)) from None
    except (errors.IdleInTransactionSessionTimeout, errors.TransactionTimeout) as error:
        if reached_commit:
            raise OutcomeUnknown(f"the cutover's session was ended at its COMMIT: {error}") from None
        raise crossing.missed(crossing.why(error)) from None
    except psycopg.OperationalError as error:
        # The server's farewell may be read before the connection is seen to be closed.
        cut_off = connection.closed or is_connection_lost(error)
        if cut_off and reached_commit:
            raise OutcomeUnknown(f"the connection was lost at the cutover's COMMIT: {error}") from None
        raise
    return CutoverTimes(
        wait_ms=(crossing.granted_at - started) * 1000,
        hold_ms=(time.monotonic() - crossing.granted_at) * 1000,
        application_wait_ms=max(longest_ms, crossing.application_wait_ms()),
        chance=crossing.chance,
    )
