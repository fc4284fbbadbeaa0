"""Caches when something dies, is changed meanwhile, or was planned wrongly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
from support.oracles.oracle import one, traces
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, eventually

from producer.planning.resolution import PlanFile
from producer.rollback.rollback import roll_back
from producer.starting.begin import begin_or_resume
from protocol.caches.cached_shop import (
    ALL_UUID,
    CACHE,
    IN_STEP,
    MOST_TURNS,
    QUERY,
    SUMMARY,
    USERS,
    Begin,
    details,
    differences,
    planned,
    present,
    until,
)
from protocol.jobs.mortal import mortal_worker
from replank.errors import NeedsOperator, WrongUse
from replank.values.states import RunState
from sql.session.connection import connect
from workers.execution.outcome import Outcome

pytestmark = pytest.mark.protocol


def test_a_worker_that_dies_anywhere_costs_only_time(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start({**IN_STEP, "chunks": 4})
    statements, deaths = 1, 0
    for _ in range(MOST_TURNS):
        if rebuild.run.state is not RunState.RUNNING:
            break
        if not rebuild.turn():
            rebuild.pass_time()
            for job_id in rebuild.jobs():
                # When each job's first worker dies, one statement later each time
                worker = mortal_worker(rebuild.settings, statements)
                statements = statements % 9 + 1
                try:
                    worker.execute(run_id=rebuild.run_id, job_id=job_id)
                except psycopg.OperationalError:
                    deaths += 1
                worker.connection.close()
                rebuild.wait_for_end_of("replank mortal")
                rebuild.turn()
                rebuild.pass_time()
                rebuild.execute(job_id)
    assert rebuild.run.state is RunState.DONE, rebuild.why()
    assert deaths > 3
    assert differences(shop) == []


def test_a_second_delivery_changes_nothing(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start({**CACHE, "chunks": 3})
    eventually(lambda: bool(details(rebuild, "fill")) or not (rebuild.turn() or rebuild.work()), "chunks")
    until_filled = details(rebuild, "fill")
    assert len(until_filled) == 3
    for job_id in until_filled:
        assert rebuild.execute(job_id) is Outcome.DONE
        assert rebuild.execute(job_id) is Outcome.NOTHING
    rebuild.finish()
    assert differences(shop) == []


def test_a_coordinator_that_dies_after_every_step(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start(IN_STEP, SUMMARY)
    for _ in range(MOST_TURNS):
        if rebuild.run.state is not RunState.RUNNING:
            break
        moved = rebuild.turn()
        rebuild.restart_coordinator()
        if not moved:
            rebuild.pass_time()
            rebuild.work()
    assert rebuild.run.state is RunState.DONE, rebuild.why()
    assert differences(shop) == []


def test_rollback_takes_away_what_was_built(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start(IN_STEP, SUMMARY)
    until(rebuild, "ready")
    rebuild.connection.close()
    said: list[str] = []
    with psycopg.connect(rebuild.settings.database(), autocommit=True) as connection:
        connection.execute("SET search_path = pg_catalog")
        roll_back(connection, say=said.append)
    assert any("user_permission_cache: what was built for it is removed" in line for line in said)
    assert traces(shop) == []
    assert one(shop, "SELECT count(*) FROM user_permission_cache WHERE permission = 'stale'") == 60
    shop.execute("INSERT INTO membership SELECT id, 9 FROM users ON CONFLICT DO NOTHING")


GAPS = (
    "ALTER TABLE membership DISABLE TRIGGER USER; {w}; ALTER TABLE membership ENABLE TRIGGER USER",
    "DROP TRIGGER replank_capture_cache_1_1_1_delete ON membership; {w}",
    "ALTER TABLE membership ALTER COLUMN group_id TYPE int USING (group_id % 9) + 1",
)


@pytest.mark.attack("B1", "What marks a cache's changes is switched off or passed by before its swap")
@pytest.mark.parametrize("gap", GAPS, ids=["switched", "dropped", "rewritten"])
def test_marks_that_did_not_stand_have_it_built_again(
    start: Begin, shop: psycopg.Connection, gap: str, attack: Attack
) -> None:
    rebuild = start(IN_STEP)
    until(rebuild, "ready")
    for statement in gap.format(w="DELETE FROM membership WHERE group_id IN (2, 3)").split("; "):
        shop.execute(statement.encode())
    rebuild.finish()
    stale = differences(shop)
    attack.record("noticed, its contents are built again", lost=len(stale))
    assert stale == []
    assert present(rebuild).generation == 2


def test_a_definition_changed_meanwhile_is_built_anew(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start(IN_STEP)
    until(rebuild, "ready")
    shop.execute("CREATE INDEX added_meanwhile ON user_permission_cache (granted)")
    rebuild.finish()
    assert present(rebuild).generation == 2
    assert one(shop, "SELECT to_regclass('public.added_meanwhile') IS NOT NULL")
    assert differences(shop) == []


def test_a_dropped_column_is_noticed_by_the_failing_job(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start(CACHE)
    until(rebuild, "building")
    shop.execute("ALTER TABLE user_permission_cache DROP COLUMN granted")
    run = rebuild.settle()
    # It cannot be filled by this query any more: a person is told so, and how the run goes on
    assert run.state is RunState.NEEDS_OPERATOR
    assert "the table has no column granted" in run.reason
    shop.execute("ALTER TABLE user_permission_cache ADD COLUMN granted int NOT NULL DEFAULT 0")
    rebuild.retry()
    rebuild.finish()
    assert differences(shop) == []


def test_a_changed_definition_waits_for_who_holds_a_source(
    start: Begin, shop: psycopg.Connection, other: psycopg.Connection
) -> None:
    rebuild = start(IN_STEP)
    until(rebuild, "ready")
    rebuild.work()
    shop.execute("COMMENT ON TABLE user_permission_cache IS 'another'")
    other.execute("SELECT * FROM membership")
    rebuild.turn()
    assert "its definition was changed; waiting for a lock" in present(rebuild).problem
    other.rollback()
    rebuild.finish()
    assert present(rebuild).generation == 2
    assert differences(shop) == []


def test_who_holds_the_cache_is_waited_for_and_named(
    start: Begin, shop: psycopg.Connection, other: psycopg.Connection
) -> None:
    rebuild = start(CACHE)
    until(rebuild, "ready")
    rebuild.work()
    other.execute("SELECT * FROM user_permission_cache")
    rebuild.turn()
    assert "the locks were not granted in time; they are held by: pid" in present(rebuild).problem
    assert present(rebuild).state == "ready"
    other.rollback()
    rebuild.finish()
    assert differences(shop) == []


def test_values_that_collide_need_a_person(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start({**CACHE, "query": QUERY.replace("count(*)::int", "1").replace("GROUP BY m.user_id, p.name", "")})
    run = rebuild.settle()
    assert run.state is RunState.NEEDS_OPERATOR
    assert "cache public.user_permission_cache: 1 job failed" in run.reason
    (failure,) = rebuild.failures()
    assert failure.name == "public.user_permission_cache"
    assert failure.error_class == "values collide"
    assert one(shop, "SELECT count(*) FROM user_permission_cache WHERE permission = 'stale'") == 60


BAD = {**CACHE, "query": QUERY.replace("count(*)::int", "1").replace("GROUP BY m.user_id, p.name", "")}


def _correct(rebuild: Rebuild, *cached: Mapping[str, Any], tables: tuple[Mapping[str, Any], ...] = ()) -> None:
    """`replank run` with a corrected plan."""
    with connect(rebuild.settings.database(), name="run") as connection:
        plan = planned(*cached, database=connection.info.dbname, tables=tables)
        begin_or_resume(connection, PlanFile(plan=plan, source="plan.toml", text=""), hold_cutover=False)


def test_a_query_that_failed_can_be_corrected(start: Begin, shop: psycopg.Connection) -> None:
    # Given tables that are swapped and cannot be planned anew, and a cache whose query gives rows twice
    rebuild = start(SUMMARY, BAD, tables=ALL_UUID)
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    # When the plan is corrected to something that does not work either, then nothing is taken over
    with pytest.raises(NeedsOperator, match="the table has no column other"):
        _correct(rebuild, SUMMARY, {**CACHE, "query": "SELECT 1 AS other"}, tables=ALL_UUID)
    with pytest.raises(NeedsOperator, match="cannot fill it"):
        wrong = QUERY.replace("m.user_id,", "m.group_id AS user_id,", 1).replace("m.user_id", "m.group_id")
        _correct(rebuild, SUMMARY, {**CACHE, "query": wrong}, tables=ALL_UUID)
    assert rebuild.run.state is RunState.NEEDS_OPERATOR
    with pytest.raises(WrongUse, match="this plan is not the run's plan"):
        _correct(rebuild, SUMMARY, CACHE, tables=ALL_UUID[:1])
    # When it is corrected well, then the run goes on with it
    _correct(rebuild, SUMMARY, CACHE, tables=ALL_UUID)
    rebuild.finish()
    assert differences(shop) == []


MALLORY = """
CREATE ROLE mallory;
CREATE SCHEMA mallory AUTHORIZATION mallory;
SET ROLE mallory;
CREATE FUNCTION mallory.takes() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
    ALTER ROLE mallory SUPERUSER;
  END IF;
  RETURN 1;
END $$;
CREATE FUNCTION mallory.evil() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN mallory.takes(); END $$;
RESET ROLE;
"""


@pytest.fixture
def mallory(shop: psycopg.Connection) -> Iterator[None]:
    """A role with fewer rights than the run's, and a function of it that would take them."""
    shop.execute(MALLORY)
    yield
    shop.execute("DROP OWNED BY mallory CASCADE; DROP ROLE mallory")


@pytest.mark.usefixtures("mallory")
def test_a_corrected_query_does_not_execute_the_code_of_others(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start(SUMMARY, BAD)
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    evil = {**CACHE, "query": CACHE["query"].replace("count(*)::int", "count(*)::int * mallory.evil()")}
    assert "mallory" in evil["query"]
    with pytest.raises(
        NeedsOperator, match=r"The changed caches were refused, and nothing was changed:\n  foreign_code .*mallory"
    ):
        _correct(rebuild, SUMMARY, evil)
    assert not one(shop, "SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'")


def test_a_cache_can_be_given_up(start: Begin, shop: psycopg.Connection) -> None:
    rebuild = start(SUMMARY, BAD, tables=ALL_UUID)
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    _correct(rebuild, SUMMARY, tables=ALL_UUID)
    rebuild.finish()
    assert one(shop, "SELECT count(*) FROM user_permission_cache WHERE permission = 'stale'") == USERS
    assert traces(shop) == ["replank"]


def test_what_is_rebuilt_is_not_corrected(start: Begin) -> None:
    rebuild = start(SUMMARY, BAD)
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    _correct(rebuild, CACHE)
    until(rebuild, "done", number=3)
    with pytest.raises(WrongUse, match=r"public\.user_permission_cache: rebuilt already"):
        _correct(rebuild, {**CACHE, "chunks": 2})


def test_caches_are_not_corrected_before_the_tables_are_done(start: Begin) -> None:
    rebuild = start(BAD, tables=ALL_UUID)
    with pytest.raises(WrongUse, match="Caches can be changed when every table is done"):
        _correct(rebuild, CACHE, tables=ALL_UUID)
