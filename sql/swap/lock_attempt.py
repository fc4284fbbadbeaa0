"""One attempt at the locks of a swap: wait for a good moment without locks, then take them and watch who waits.

1. **Before any lock.** Everything logged is drained. A snapshot that is held at that moment is older than these rows:
   such a session would find the new tables without them, so it has to let go of its snapshot first (as CREATE INDEX
   CONCURRENTLY waits). Meanwhile the transactions that hold the tables are watched, until the moment is good.
2. **Writers wait** (SHARE ROW EXCLUSIVE; not readers). What the last of them wrote is drained by the second session
   and committed there: snapshots that are taken from now on see every row of the new tables, and nothing more can come.
3. **All wait** (ACCESS EXCLUSIVE), for the swap's script alone.

While a lock is waited for, a session that waits for us and holds one of the tables itself can never end before we do.
We give way at once, long before the server would look for a deadlock and end the transaction of either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

import psycopg
from psycopg import errors
from psycopg.sql import Composable

from replank.errors import TryAgain
from sql.health.lock_holders import roots
from sql.health.lock_traffic import Holder, Snapshot, busy, holders, queue_behind, snapshots, still_held
from sql.session.connection import Connection, apply_settings, run
from sql.session.passing_errors import LOCK_OR_TIME_MISSED
from sql.swap.hold_clock import HoldClock
from sql.swap.lock_moment import Traffic
from sql.swap.write_gate import Gate

POLL_S = 0.05
WATCH_S = 0.025
SHORT_S = 0.005
LONGEST_POLL_S = 2.0
SNAPSHOTS_SHARE = 0.6
"""Of what is left of the wait: so long writers wait for transactions that may have nothing to do with them."""
MOST_NAMED = 5
CANCEL_S = 2.0


class AttemptMissed(TryAgain):
    """Nothing has changed. `chance` is that of the moment, None where no lock was asked for."""

    def __init__(self, words: str, *, chance: float | None = None, application_wait_ms: float = 0.0) -> None:
        super().__init__(words)
        self.chance = chance
        self.application_wait_ms = application_wait_ms


class GaveWay(AttemptMissed):
    """To a session that held one of the tables and waited for us: the next moment may come soon."""


@dataclass(frozen=True, kw_only=True)
class CrossingPlan:
    """What an attempt may cost. `wait_ms`: no session waits longer for the swap; `hold_ms`: the longest hold."""

    wait_ms: int
    hold_ms: int
    forecast_ms: float
    """What the swap's script is expected to need: so much of `wait_ms` is kept for it."""
    wait_for_snapshots: bool
    traffic: Traffic

    @property
    def lock_wait_s(self) -> float:
        """The part of `wait_ms` in which the locks must come."""
        return (self.wait_ms - min(self.forecast_ms, self.wait_ms / 2)) / 1000


@dataclass(kw_only=True)
class Crossing:
    """One attempt. `drain` empties the logs in short transactions of the second session, and returns the rows.

    `drain_gated` does the same while writers wait, and raises TryAgain where there are too many.
    """

    first: Connection
    second: Connection
    oids: Sequence[int]
    gate: Gate
    lock: Composable
    plan: CrossingPlan
    drain: Callable[[], int]
    drain_gated: Callable[[], int]
    drained: int = 0
    """Rows that were drained while writers waited."""
    chance: float | None = None
    _drained_late: bool = False
    """Whether rows were drained after the snapshots' holders were read."""
    _asked_at: float | None = None
    _waited_since: float | None = None
    clock: HoldClock | None = None
    """Runs from when all locks were granted."""

    def wait_for_moment(self) -> None:
        """Without a lock. Raises AttemptMissed, with names, where there is no fair chance for now."""
        before = snapshots(self.second, self.first) if self.plan.wait_for_snapshots else []
        wait_s = self.plan.lock_wait_s
        until = time.monotonic() + min(LONGEST_POLL_S, wait_s)
        while True:
            now = time.monotonic()
            present = holders(self.second, self.first, self.oids)
            self.plan.traffic.note(present, now=now)
            before = still_held(before, snapshots(self.second, self.first)) if before else []
            chance = self.plan.traffic.chance(present, wait_s)
            if not before and self.plan.traffic.is_good(chance):
                break
            if now > until:
                self._refuse_old(before)
                break
            time.sleep(min(POLL_S, wait_s / 4))
        stuck = [holder for holder in present if self.plan.traffic.is_stuck(holder, wait_s)]
        if stuck:
            raise AttemptMissed("no lock was requested: other sessions hold the tables: " + self._named(stuck))
        self.chance = chance
        self._drained_late = self.drain() > 0

    def take_locks(self) -> None:
        """In the first session's transaction. Raises AttemptMissed; the caller's transaction ends with it."""
        self._asked_at = time.monotonic()
        until = self._asked_at + self.plan.lock_wait_s
        self._granted(self.gate.script(busy(self.second, self.first, self.gate.tables)), until)
        self._drain_gated(until)
        if (self.drained or self._drained_late) and self.plan.wait_for_snapshots:
            left_s = until - time.monotonic()
            self._wait_for_snapshots(until - left_s * (1 - SNAPSHOTS_SHARE))
        self._granted(self.lock, until)
        self.clock = HoldClock(connection=self.first, budget_ms=self.plan.hold_ms)
        self.clock.begin()

    def check(self) -> None:
        """Between statements under the lock. Raises TryAgain where it has been held for as long as it may be."""
        if self.clock is not None:
            self.clock.check()

    @property
    def granted_at(self) -> float:
        """On the monotonic clock; now, where not all locks were granted."""
        return time.monotonic() if self.clock is None else self.clock.started

    def application_wait_ms(self) -> float:
        """The longest that any session has waited for us until now, at most: when each began is not known exactly."""
        since = self._waited_since
        if since is None and self.clock is not None:
            since = self.clock.started
        return 0.0 if since is None else (time.monotonic() - since) * 1000

    def missed(self, words: str) -> AttemptMissed:
        return AttemptMissed(words, chance=self.chance, application_wait_ms=self.application_wait_ms())

    def again(self) -> Crossing:
        """The same attempt from its beginning."""
        return replace(self, chance=None, drained=0, clock=None, _asked_at=None, _waited_since=None)

    def why(self, error: psycopg.Error) -> str:
        """What an error of the server's that passes means: a budget once the locks were granted, others before."""
        said = error.diag.message_primary
        return f"waiting for other sessions: {said}" if self.clock is None else self.clock.overrun(error)

    def _drain_gated(self, until: float) -> None:
        """Writers wait for this. What it cannot read for our locks is left to the last drain under the lock."""
        left = self._left_ms(until)
        # What it cannot lock leaves time for the swap.
        apply_settings(self.second, {"lock_timeout": f"{left // 4 + 1}ms", "statement_timeout": f"{left}ms"})
        try:
            with suppress(errors.LockNotAvailable):
                self.drained = self.drain_gated()
        except errors.QueryCanceled:
            raise self.missed("the drain for which writers wait took too long; the locks were released") from None
        finally:
            if not self.second.closed:
                apply_settings(self.second, {"statement_timeout": "0"})

    def _refuse_old(self, before: Sequence[Snapshot]) -> None:
        if before:
            raise AttemptMissed(
                "no lock was requested: a snapshot that is older than the new tables' newest rows would not see them; "
                f"it is held by {self._named(before)}. End or wait for these transactions; "
                '`old_snapshots = "ignore"` in the plan\'s [options] does not wait for them'
            )

    def _wait_for_snapshots(self, until: float) -> None:
        """Those taken before the last drain has committed; not of sessions that wait for us by now."""
        before = snapshots(self.second, self.first)
        while True:
            queue = self._watch()
            before = [each for each in before if each.pid not in queue]
            before = still_held(before, snapshots(self.second, self.first)) if before else []
            if not before:
                return
            if time.monotonic() > until:
                raise self.missed(
                    "the locks were released: a snapshot that is older than the new tables' newest rows is held by "
                    + _named(before)
                )
            time.sleep(SHORT_S)

    def _granted(self, statement: Composable, until: float) -> None:
        """Wait for locks in a thread, and meanwhile watch which sessions wait for us."""
        left = f"{self._left_ms(until)}ms"
        apply_settings(self.first, {"lock_timeout": left, "statement_timeout": left}, local=True)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="lock") as pool:
            asked = pool.submit(run, self.first, statement)
            reason = self._until_granted(asked)
        try:
            asked.result()
        except LOCK_OR_TIME_MISSED:
            if reason:
                raise GaveWay(reason, chance=self.chance, application_wait_ms=self.application_wait_ms()) from None
            raise self.missed(self._in_the_way()) from None

    def _until_granted(self, asked: Future[psycopg.Cursor[tuple[object, ...]]]) -> str:
        """Until the locks are there or given up; why we gave them up, if we did."""
        pause = SHORT_S
        while True:
            try:
                asked.exception(timeout=pause)
            except TimeoutError:
                pause = WATCH_S
            else:
                return ""
            circle = [pid for pid, holds in self._watch().items() if holds]
            if circle:
                # By the protocol, as a client gives up its own statement: that needs no right.
                self.first.cancel_safe(timeout=CANCEL_S)
                asked.exception()
                return f"gave way: pid {circle[0]} waits for the cutover's lock and holds another table of the set"

    def _watch(self) -> dict[int, bool]:
        """Which session waits for us now, and whether it holds tables of the set; since when the first of them does."""
        queue = queue_behind(self.second, self.first, self.oids)
        if queue and self._waited_since is None:
            asked_at = self._asked_at if self._asked_at is not None else time.monotonic()
            self._waited_since = max(asked_at, time.monotonic() - max(each.seconds for each in queue))
        return {each.pid: each.holds for each in queue}

    def _in_the_way(self) -> str:
        asked_at = self._asked_at if self._asked_at is not None else time.monotonic()
        waited_s = time.monotonic() - asked_at
        present = holders(self.second, self.first, self.oids)
        lasting = [holder for holder in present if holder.seconds >= waited_s]
        if present and not lasting:
            return (
                f"the locks were not granted in time: one short transaction after another, now {self._named(present)}"
            )
        return "the locks were not granted in time; they are held by: " + (self._named(lasting) or "(gone meanwhile)")

    def _named(self, found: Sequence[Holder | Snapshot]) -> str:
        """Not under a lock: with those that they wait for themselves."""
        shown = found[:MOST_NAMED]
        ours = [self.first.info.backend_pid, self.second.info.backend_pid]
        last = roots(self.second, [each.pid for each in shown if each.pid is not None], ours=ours)
        return "; ".join(f"{each}{last.get(each.pid or 0, '')}" for each in shown)

    def _left_ms(self, until: float) -> int:
        return max(1, int((until - time.monotonic()) * 1000))


def _named(found: Sequence[object]) -> str:
    return "; ".join(str(each) for each in found[:MOST_NAMED])
