"""The time left: what it says when, and what it is made from."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from monitoring.estimate.eta import estimate
from monitoring.estimate.read_snapshot import closed_seconds
from monitoring.estimate.snapshot import Moment, ScriptsSnapshot, TableSnapshot, Work
from sql.ledger.runs.history import WindowChange

pytestmark = pytest.mark.unit

ROWS = 10_000_000
COPIED = Work(done=50, rows=ROWS // 2, seconds=20.0, done_now=50, rows_now=ROWS // 2, waiting=48, running=(0.1, 0.2))

LARGE = TableSnapshot(
    set_no=1, state="copying", method="rebuild", rows=ROWS, heaps=1, indexes=3, keys=1, cut=True, work={"copy": COPIED}
)
MOMENT = Moment(at_s=12.0, open=True, workers=2, tables=(LARGE,), idle_s=0.01, working_s=10.0)


def _middle(moment: Moment) -> float:
    found = estimate(moment)
    assert found is not None
    assert 0 <= found.low < found.middle < found.high
    return found.middle


def test_there_is_none_where_nothing_can_be_told() -> None:
    assert estimate(replace(MOMENT, open=False)) is None
    assert estimate(Moment(at_s=1.0, open=True, workers=0, unplanned=3)) is None
    assert estimate(replace(MOMENT, workers=0)) is None
    assert (
        estimate(Moment(at_s=1.0, open=True, workers=0, scripts=ScriptsSnapshot(done=3, seconds=1.0, left=5)))
        is not None
    )


def test_a_moment_survives_its_recording() -> None:
    assert Moment.from_json(MOMENT.to_json()) == MOMENT


def test_more_workers_are_quicker_but_not_through_the_last_index() -> None:
    one, four = (_middle(replace(MOMENT, workers=n, working_s=None)) for n in (1, 4))
    assert four < 0.7 * one
    indexing = replace(
        LARGE, state="indexing", work={"copy": COPIED, "index": Work(done=2, seconds=30.0, running=(2.0,))}
    )
    alone = [_middle(replace(MOMENT, tables=(indexing,), workers=n, working_s=None)) for n in (1, 16)]
    # Some 13 s of the index are left, whoever waits
    assert alone[1] > 11
    assert alone[0] > alone[1]


def test_what_is_measured_narrows_it() -> None:
    def width(table: TableSnapshot) -> float:
        found = estimate(replace(MOMENT, tables=(table,), working_s=None))
        assert found is not None
        return (found.high - found.low) / found.middle

    unmeasured = replace(LARGE, work={"copy": Work(waiting=98, running=(0.1, 0.1))})
    ready = replace(
        LARGE,
        state="verifying",
        work={
            "copy": replace(COPIED, waiting=0, running=()),
            "index": Work(done=3, seconds=30.0),
            "verify": Work(done=50, rows=ROWS, seconds=10.0, done_now=50, rows_now=ROWS, waiting=50),
            "vacuum": Work(done=1, seconds=2.0),
        },
    )
    assert width(ready) < width(LARGE) < width(unmeasured)


def test_a_job_that_is_late_is_not_over_soon() -> None:
    def left(age: float) -> float:
        work = {"copy": COPIED, "index": Work(done=2, seconds=20.0, running=(age,))}
        return _middle(replace(MOMENT, tables=(replace(LARGE, state="indexing", work=work),)))

    assert left(1.0) > left(8.0)
    assert left(60.0) > left(12.0)


def test_slow_machines_take_longer_at_what_was_not_measured_too() -> None:
    slow = replace(LARGE, work={"copy": replace(COPIED, seconds=200.0)})
    assert _middle(replace(MOMENT, tables=(slow,), working_s=None)) > 5 * _middle(replace(MOMENT, working_s=None))


def test_what_took_longer_than_told_goes_on_so() -> None:
    as_told = _middle(replace(MOMENT, working_s=None))
    assert _middle(replace(MOMENT, working_s=60.0)) > 1.3 * as_told


def test_closed_windows_are_added_up() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)

    def change(at_s: float, now: int) -> WindowChange:
        return WindowChange(at=begin + timedelta(seconds=at_s), now=now, maximum=8, reason="")

    changes = [change(0, 4), change(10, 0), change(25, 8), change(40, 0)]
    assert closed_seconds(changes, until=begin + timedelta(seconds=50)) == 15 + 10
    assert closed_seconds(changes[:3], until=begin + timedelta(seconds=50)) == 15
    assert closed_seconds([], until=None) == 0
