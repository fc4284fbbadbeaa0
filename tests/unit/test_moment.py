"""When a cutover begins: the chance that the transactions in its way end in time."""

import random

import pytest

from producer.stages.attempt_pause import pause_s
from replank.backoff import SWAP_LOCKS, SWAP_MOMENT
from sql.health.lock_traffic import Holder, Snapshot, still_held
from sql.swap.lock_attempt import AttemptMissed
from sql.swap.lock_moment import FIRST_SAMPLES, Traffic

pytestmark = pytest.mark.unit


def holder(pid: int, seconds: float, tables: int = 1) -> Holder:
    return Holder(
        pid=pid,
        tables=tables,
        application="web",
        role="app",
        state="active",
        since=f"at {pid}",
        seconds=seconds,
        query="",
    )


def taught(*lasted: float, tables: int = 1) -> Traffic:
    """What has seen transactions that lasted so long."""
    traffic = Traffic()
    for number, seconds in enumerate(lasted):
        traffic.note([holder(number, seconds, tables)], now=number / 5)
        traffic.note([], now=number / 5 + 0.1)
    return traffic


def test_without_anybody_in_the_way_it_is_certain() -> None:
    assert Traffic().chance([], 1.0) == 1.0


def test_what_was_never_seen_is_expected_to_last_as_long_again() -> None:
    assert Traffic().chance([holder(1, 1.0)], 1.0) == 0.5
    assert Traffic().chance([holder(1, 1.0), holder(2, 1.0)], 1.0) == 0.25


def test_a_transaction_that_is_nearly_over_is_a_better_moment_than_a_young_one() -> None:
    traffic = taught(*[2.0] * 30)
    assert traffic.chance([holder(90, 1.8)], 0.5) > 0.9
    assert traffic.chance([holder(90, 0.1)], 0.5) < 0.1


def test_one_that_will_go_on_to_further_tables_is_a_bad_moment_however_short_it_is() -> None:
    traffic = taught(*[0.5] * 30, tables=3)
    assert traffic.chance([holder(90, 0.2, tables=1)], 2.0) < 0.1
    assert traffic.chance([holder(90, 0.2, tables=3)], 2.0) > 0.9
    assert not traffic.is_stuck(holder(90, 0.2, tables=1), 2.0)


def test_what_lasts_far_longer_than_the_wait_is_stuck() -> None:
    assert Traffic().is_stuck(holder(1, 3_600.0), 2.0)
    assert not Traffic().is_stuck(holder(1, 2.0), 2.0)


def test_a_long_gap_between_looks_teaches_nothing() -> None:
    traffic = Traffic()
    traffic.note([holder(1, 0.2)], now=0.0)
    traffic.note([], now=60.0)
    assert not traffic.ended


def test_the_first_moments_are_looked_at_and_then_one_that_is_as_good_as_the_best_is_taken() -> None:
    traffic = Traffic()
    assert [traffic.is_good(0.1 + look / 100) for look in range(FIRST_SAMPLES)] == [False] * FIRST_SAMPLES
    assert not traffic.is_good(0.05)
    assert traffic.is_good(0.5)


def test_pauses_are_short_where_locks_were_asked_for_and_leave_others_alone_for_longer_than_they_waited() -> None:
    source = random.Random(1)
    asked = AttemptMissed("", chance=0.5, application_wait_ms=0.0)
    assert all(pause_s(attempts, asked, source) <= SWAP_LOCKS.most_s for attempts in range(200))
    assert pause_s(0, AttemptMissed("", chance=0.5, application_wait_ms=2_000.0), source) == 4.0
    unasked = AttemptMissed("")
    assert all(pause_s(attempts, unasked, source) <= SWAP_MOMENT.most_s for attempts in range(200))
    assert pause_s(100_000, unasked, source) >= SWAP_MOMENT.most_s / 2, "a plan may allow so many attempts"


def test_a_snapshot_is_held_still_where_transaction_and_xmin_are_the_same() -> None:
    def snapshot(pid: int, since: str, xmin: str) -> Snapshot:
        return Snapshot(
            pid=pid, application="", role="", state="", since=since, xmin=xmin, query_start=None, seconds=1.0, query=""
        )

    before = [snapshot(1, "9:00", "700"), snapshot(2, "9:00", "700"), snapshot(3, "9:00", "700")]
    now = [snapshot(1, "9:00", "700"), snapshot(2, "9:05", "700"), snapshot(3, "9:00", "705")]
    assert still_held(before, now) == now[:1]
