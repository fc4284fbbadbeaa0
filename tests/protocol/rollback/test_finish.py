"""`finish`: past tables and what captures for them go, and with them the way back."""

import random
from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import count, live, one
from support.oracles.returning import catalogue, changed, go_back
from support.runs.harness import Rebuild, table

from producer.planning.resolution import PlanFile
from producer.rollback.finish import Finishing, Leftover
from producer.starting.begin import begin_or_resume
from protocol.dependents.hanging import PLANNED, SCHEMAS
from replank.errors import NeedsOperator, WrongUse
from replank.values.states import RunState
from sql.session.connection import Connection

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]


def _finishing(connection: Connection) -> Finishing:
    return Finishing(connection=connection, say=lambda _: None, sleep=lambda _: None, random_source=random.Random(1))


def _finish(connection: Connection) -> list[Leftover]:
    finishing = _finishing(connection)
    run = finishing.run_to_finish()
    found = finishing.leftovers(run)
    assert finishing.finish(run).state is RunState.FINISHED
    return found


def _left(app: psycopg.Connection) -> list[str]:
    found = app.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replank%' UNION ALL"
        " SELECT tgname FROM pg_trigger WHERE tgname LIKE 'replank%' UNION ALL"
        " SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace('replank')"
        " AND proname ~ '_1_[0-9]+(_[0-9]+)?$' UNION ALL"
        " SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('replank') AND relname ~ '_1_[0-9]+$'"
    )
    return [name for (name,) in found]


@pytest.mark.usefixtures("everything")
def test_everything_goes_and_the_new_tables_are_untouched(app: psycopg.Connection, begin: Begin, database: str) -> None:
    rebuild = begin(*PLANNED)
    rebuild.finish()
    app.execute("UPDATE person SET name = 'changed' WHERE n < 5")
    before = catalogue(database, SCHEMAS)
    found = _finish(rebuild.connection)
    named = {each.name for each in found if each.what == "past table"}
    assert named == {'replank_past_Side %.Odd "name" x', *(f"replank_past.{n}" for n in ("person", "orders", "event"))}
    assert all(each.bytes for each in found if each.what == "past table")
    assert "of public.person, with 4 changes in its log" in {each.name for each in found}
    assert _left(app) == ["replank"]
    assert changed(before, catalogue(database, SCHEMAS)) == {}
    assert count(app, live("person")) == 90


def _one_table(app: psycopg.Connection, begin: Begin) -> Rebuild:
    app.execute("CREATE TABLE t (id text PRIMARY KEY)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text FROM generate_series(1, 20)")
    rebuild = begin(table("t", "id"), capture_attempts=3, lock_timeout_ms=50)
    rebuild.finish()
    return rebuild


def test_each_thing_is_said_once_and_only_what_is_there(app: psycopg.Connection, begin: Begin) -> None:
    """No pass was made by psql, and what the step's script drops is named one by one."""
    rebuild = _one_table(app, begin)
    finishing = _finishing(rebuild.connection)
    said = [(each.what, each.name) for each in finishing.leftovers(rebuild.run)]
    assert said == [
        ("past table", "replank_past.t"),
        ("reverse capture", "of public.t, with 0 changes in its log"),
    ]
    # What nobody needs a line for is done all the same, also where a finish was killed before it
    finishing.finish(rebuild.run)
    assert finishing.is_over(rebuild.run)
    app.execute("UPDATE replank.step SET finished_at = NULL WHERE step LIKE '11-%'")
    assert finishing.leftovers(rebuild.run) == []
    assert not finishing.is_over(rebuild.run)
    finishing.finish(rebuild.run)
    assert finishing.is_over(rebuild.run)


def test_afterwards_there_is_no_way_back_and_the_plan_is_done(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = _one_table(app, begin)
    _finish(rebuild.connection)
    with pytest.raises(WrongUse, match="Run 1 is finished: `replank finish` dropped its past tables"):
        go_back(rebuild)
    # The same plan is done, as before; the ledger keeps its rows.
    plan = PlanFile(plan=rebuild.run.plan, source="plan.toml", text="")
    assert begin_or_resume(rebuild.connection, plan, hold_cutover=False).state is RunState.FINISHED
    assert one(app, "SELECT count(*) FROM replank.run_table") == 1
    # And nothing is left to do.
    assert _finishing(rebuild.connection).leftovers(rebuild.run) == []


def test_it_waits_for_locks_only_so_long_and_goes_on(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin
) -> None:
    rebuild = _one_table(app, begin)
    other.execute("SELECT FROM t")
    with pytest.raises(NeedsOperator, match=r"public\.t is locked by pid.*`replank finish` again"):
        _finish(rebuild.connection)
    app.execute("INSERT INTO t VALUES (gen_random_uuid())")
    other.rollback()
    _finish(rebuild.connection)
    assert _left(app) == ["replank"]
    assert count(app, live("t")) == 21


def test_what_others_built_on_a_past_table_stops_it_before_anything_is_given_up(
    app: psycopg.Connection, begin: Begin
) -> None:
    rebuild = _one_table(app, begin)
    app.execute("CREATE VIEW mine AS SELECT id FROM replank_past.t")
    with pytest.raises(
        NeedsOperator, match=r"view public\.mine depends on past tables.*`replank rollback` rolls back without loss"
    ):
        _finish(rebuild.connection)
    assert rebuild.run.state is RunState.DONE
    assert one(app, "SELECT count(*) FROM mine") == 20
    # Writes are captured on, so going back would lose none
    app.execute("DELETE FROM t WHERE id = (SELECT id FROM t LIMIT 1)")
    assert any("with 1 change" in each.name for each in _finishing(rebuild.connection).leftovers(rebuild.run))
    app.execute("DROP VIEW mine")
    _finish(rebuild.connection)
    assert _left(app) == ["replank"]


def test_only_a_run_that_is_done_can_be_finished(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY)")
    rebuild = begin(table("t", "id"))
    with pytest.raises(WrongUse, match="Run 1 is running: only a run that is done"):
        _finish(rebuild.connection)
    rebuild.finish()
    go_back(rebuild)
    with pytest.raises(WrongUse, match="nothing to finish"):
        _finish(rebuild.connection)


def test_a_second_plan_may_follow(app: psycopg.Connection, begin: Begin) -> None:
    """Its past tables need the names."""
    rebuild = _one_table(app, begin)
    _finish(rebuild.connection)
    rebuild.close()
    again = begin(table("t", add=[{"name": "note", "type": "text", "value": "'x'"}], method="rebuild"))
    again.finish()
    go_back(again)
    assert one(app, "SELECT pg_typeof(id)::text FROM t LIMIT 1") == "uuid"
    assert _left(app) == ["replank"]


def test_past_tables_that_somebody_dropped(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = _one_table(app, begin)
    app.execute("DROP SCHEMA replank_past CASCADE")
    with pytest.raises(NeedsOperator, match=r"replank_past\.t does not exist.*`replank finish` removes"):
        go_back(rebuild)
    _finish(rebuild.connection)
    assert _left(app) == ["replank"]
