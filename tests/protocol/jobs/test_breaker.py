"""The breaker: a table that fails again and again stops, the rest goes on, and the run says what frees it."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from support.oracles.oracle import differences, live, one, past
from support.runs.harness import Rebuild, Table, table

from producer.operator.operator import Operator
from producer.operator.pausing import pause, resume
from producer.operator.retrying import Selection, retry
from producer.operator.scope import scope_of
from protocol.jobs.test_ladder import RATIO, work_off
from replank.values.states import RunState, SwapWait, TableState
from sql.ledger.runs import restraints, runs

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]
ANNA = Operator(name="anna", via="command line")


@pytest.fixture
def shop(app: psycopg.Connection, begin: Begin) -> Rebuild:
    """Tables good and bad; of bad no row can be converted: its plan's expression divides by zero."""
    app.execute("CREATE TABLE good (id text PRIMARY KEY, n int NOT NULL)")
    app.execute("CREATE TABLE bad (id text PRIMARY KEY, n int NOT NULL)")
    app.execute("INSERT INTO good SELECT gen_random_uuid()::text, g FROM generate_series(1, 200) AS g")
    app.execute("INSERT INTO bad SELECT gen_random_uuid()::text, g FROM generate_series(1, 200) AS g")
    bad: dict[str, Any] = {**RATIO}
    rebuild = begin(table("good", "id"), Table(name="bad", columns=["id"], axis="heap", more=bad), sets="apart")
    app.execute("UPDATE bad SET n = 0")
    return rebuild


def test_a_table_without_a_good_row_stops_long_before_each_was_tried(app: psycopg.Connection, shop: Rebuild) -> None:
    # When nothing of it goes well
    run = shop.settle()

    # Then it was stopped after about the limit's errors, not after one for each row
    tried = int(str(one(app, "SELECT count(*) FROM replank.job_attempt")))
    assert 20 <= tried < 80
    # And the other table came to its cutover, and the run says exactly what frees it
    assert run.state is RunState.NEEDS_OPERATOR
    assert shop.table("good").state is TableState.DONE
    (stopped,) = restraints.in_force(shop.connection, shop.run_id)
    assert (stopped.cause, stopped.by, stopped.name) == ("breaker", "breaker", "public.bad")
    assert "22012" in stopped.reason
    assert "division by zero" in stopped.reason
    assert "public.bad is paused by breaker" in run.reason
    assert "`replank resume --table public.bad`" in run.reason
    # And none of its jobs begins, though messages may still come
    for job_id in shop.jobs("copy"):
        assert str(shop.execute(job_id)) == "nothing"

    # When the rows are corrected, then `resume` is enough where nothing is left failed
    app.execute("UPDATE bad SET n = 5")
    said = resume(shop.connection, run, scope_of(shop.connection, run, table="bad"), by=ANNA)
    assert "public.bad continues" in said
    if shop.failures():
        retry(shop.connection, shop.run, Selection(table="bad"), by=ANNA)
    shop.finish()
    assert differences(app, past("bad"), live("bad"), {"id"}) == []
    assert one(app, "SELECT count(*) FROM replank.event WHERE kind IN ('breaker', 'resume') AND actor <> ''") == 2


def test_what_was_forgiven_does_not_trip_it_again(app: psycopg.Connection, shop: Rebuild) -> None:
    """After `retry` the breaker begins anew: old errors stop nothing."""
    shop.settle()
    before = int(str(one(app, "SELECT count(*) FROM replank.job_attempt")))
    retry(shop.connection, shop.run, Selection(), by=ANNA)
    shop.turn()
    assert restraints.in_force(shop.connection, shop.run_id) == []
    shop.settle()
    again = int(str(one(app, "SELECT count(*) FROM replank.job_attempt"))) - before
    assert again >= 20


def test_one_bad_row_in_each_chunk_does_not_trip_it(app: psycopg.Connection, begin: Begin) -> None:
    """Halves that go well in between show that it is the rows, not the table."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int NOT NULL)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 400) AS g")
    rebuild = begin(Table(name="t", columns=["id"], axis="heap", more=RATIO))
    app.execute("UPDATE t SET n = 0 WHERE n IN (10, 120, 230, 390)")
    rebuild.until(TableState.COPYING)
    work_off(rebuild, "copy", lambda: rebuild.turn() and None)
    assert len(rebuild.failures()) == 4
    assert restraints.in_force(rebuild.connection, rebuild.run_id) == []


def test_an_operators_pause_is_waited_for_and_keeps_the_set_together(app: psycopg.Connection, begin: Begin) -> None:
    """A set with a paused member does not cut over; the run waits for the operator and calls nobody."""
    app.execute("CREATE TABLE a (id text PRIMARY KEY)")
    app.execute("CREATE TABLE b (id text PRIMARY KEY, a_id text REFERENCES a)")
    app.execute("INSERT INTO a SELECT gen_random_uuid()::text FROM generate_series(1, 50)")
    app.execute("INSERT INTO b SELECT gen_random_uuid()::text, id FROM a")
    rebuild = begin(table("a", "id"), table("b", "id", "a_id"))
    rebuild.ready()
    pause(rebuild.connection, rebuild.run, scope_of(rebuild.connection, rebuild.run, table="b"), by=ANNA, reason="why")
    assert rebuild.try_for_a_while() is RunState.RUNNING
    assert {t.state for t in rebuild.tables} == {TableState.READY}
    (problem,) = {s.problem for s in rebuild.sets}
    assert "public.b is paused by anna" in problem
    assert "why" in problem
    # It was said once, and what is decided does not hang on the words
    said = "SELECT count(*) FROM replank.event WHERE kind = 'cutover' AND message LIKE 'the cutover is waiting%'"
    assert app.execute(said).fetchone() == (1,)
    assert {s.waits_for for s in rebuild.sets} == {SwapWait.PAUSE}
    app.execute("UPDATE replank.conversion_set SET problem = 'in other words'")
    runs.set_hold(rebuild.connection, rebuild.run_id, hold_cutover=True)
    resume(rebuild.connection, rebuild.run, scope_of(rebuild.connection, rebuild.run, table="b"), by=ANNA)
    rebuild.turn()
    assert [(s.waits_for, s.problem) for s in rebuild.sets] == [(None, "")]
    rebuild.finish()
    assert differences(app, past("b"), live("b"), {"id", "a_id"}) == []
