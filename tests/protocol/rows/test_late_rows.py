"""Rows that do not convert and come when all is ready: found while there is time, all of them, each by its key."""

from collections.abc import Callable, Sequence

import psycopg
import pytest
from support.oracles.oracle import count, differences, live, one, past
from support.runs.harness import Rebuild, eventually, table

from producer.stages import cutover
from replank.values.states import RunState
from sql.ledger.jobs.job_reports import FailedJob

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]
LATE = ("late 1", "late 2", "late 3")


@pytest.fixture
def ready(app: psycopg.Connection, begin: Begin) -> Rebuild:
    """Two tables, each a set of its own, that wait for an operator's word."""
    for name in ("t", "u"):
        app.execute(f"CREATE TABLE {name} (id text PRIMARY KEY, n int)")
        app.execute(f"INSERT INTO {name} SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")  # noqa: S608
    rebuild = begin(table("t", "id"), table("u", "id"), sets="apart")
    rebuild.ready()
    assert rebuild.run.hold_cutover
    return rebuild


def _write_late(app: psycopg.Connection, *, good: int = 150) -> None:
    """Bad rows among many good ones, one of them written twice, all fewer than a drain is worth."""
    app.execute(f"INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(100, {99 + good}) AS g")  # noqa: S608
    for number, name in enumerate(LATE):
        app.execute("INSERT INTO t VALUES (%s, %s)", [name, number])
    app.execute("UPDATE t SET n = 7 WHERE id = %s", [LATE[1]])
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(300, 310) AS g")


def _named(failures: Sequence[FailedJob]) -> list[bool]:
    assert [failure.kind for failure in failures] == ["drain"]
    return [f"id = '{name}'" in (failures[0].message or "") for name in LATE]


def test_they_are_found_while_the_cutover_is_held(
    app: psycopg.Connection, ready: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutover, "DRAIN_EVERY_S", 0.0)
    _write_late(app)

    def told() -> bool:
        ready.pass_time()
        ready.turn()
        ready.work()
        return bool(ready.run.reason)

    eventually(told, "a word that something needs a person")
    # All of them by their keys, and no other; the drain that searched for them has changed nothing
    assert _named(ready.failures()) == [True] * 3
    assert (ready.failures()[0].message or "").count("id = '") == 3
    assert ready.log_length("t") >= 165
    # The run goes on, so that what waits for its word is kept in step, and a person is told once, with what frees it
    assert ready.run.state is RunState.RUNNING
    assert "public.t: 1 job failed" in ready.run.reason
    assert "correct or delete the row in the live table, then `replank retry --cause 22P02`" in ready.run.reason
    for _ in range(3):
        told()
    assert one(app, "SELECT count(*) FROM replank.event WHERE kind = 'needs_operator'") == 1

    # When they are gone and it is tried again, then nobody is needed any more
    app.execute("DELETE FROM t WHERE id LIKE 'late%'")
    ready.retry()
    ready.finish()
    assert ready.run.reason == ""
    assert differences(app, past("t"), live("t"), {"id"}) == []
    assert count(app, live("t")) == 50 + 150 + 11


def test_those_that_only_the_cutover_meets_are_named_too(app: psycopg.Connection, ready: Rebuild) -> None:
    _write_late(app, good=3)
    run = ready.settle()
    assert run.state is RunState.NEEDS_OPERATOR
    assert _named(ready.failures()) == [True] * 3
    # The other set has swapped; of this one nothing has
    assert [one_set.swapped_at is not None for one_set in ready.sets] == [False, True]
    assert "public.t: 1 job failed" in run.reason
    assert ".." not in run.reason
    app.execute("UPDATE t SET id = gen_random_uuid()::text WHERE id LIKE 'late%'")
    ready.retry()
    ready.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


def test_one_row_is_the_failure_s_row(app: psycopg.Connection, ready: Rebuild) -> None:
    app.execute("INSERT INTO t VALUES ('x''y', 1)")
    ready.settle()
    assert [failure.row for failure in ready.failures()] == [{"id": "x'y"}]
