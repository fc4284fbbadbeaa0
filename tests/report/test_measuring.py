"""What is measured before the first write and after the swap, and that measuring changes nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL

from monitoring.report.speed import compare_queries, plan_line
from producer.measurement.measure import measure_after, measure_before
from replank.errors import WrongUse
from replank.plan.plan import parse_plan
from replank.values.measurement import MeasuredQuery, Measurement
from report.conftest import Criteria, the_run
from report.world import begin_run, content, create_world, plan_for, run_to_the_end
from sql.ledger.runs import measurements, runs
from sql.measurement.measure import forget_prepared, generic_plan, read_only
from sql.session.connection import Connection, connect

pytestmark = pytest.mark.catalogue


@pytest.fixture
def fresh(empty: str) -> Iterator[Connection]:
    """The world before any run."""
    create_world(empty)
    with connect(empty, name="test") as connection:
        yield connection


def _queries(**named: str) -> list[dict[str, str]]:
    return [{"name": name, "sql": text} for name, text in named.items()]


def _measured(connection: Connection, **named: str) -> dict[str, MeasuredQuery]:
    plan = plan_for(connection.info.dbname, queries=_queries(**named), query_timeout_ms=200)
    return {query.name: query for query in measure_before(connection, plan).queries}


def test_a_run_knows_what_was_before_its_first_write(connection: Connection) -> None:
    found = measurements.read_measurements(connection, the_run(connection).run_id)
    before = {table.name: table for table in found["before"].tables}
    after = {table.name: table for table in found["after"].tables}
    assert "uuid" not in {column.name for column in before["tag"].columns}
    assert "uuid" in {column.name for column in after["tag"].columns}
    assert {c.name: c.type for c in before["account"].columns}["id"] == "text"
    assert {c.name: c.type for c in after["account"].columns}["id"] == "uuid"
    assert not [fact for fact in found["before"].security if "audit" in fact.name]
    assert found["before"].taken_at < the_run(connection).created_at
    size = connection.execute("SELECT pg_table_size('public.account'), pg_indexes_size('public.account')").fetchone()
    assert size == (after["account"].table_bytes, after["account"].index_bytes)
    queries = {query.name: query for query in found["after"].queries}
    assert [(q.rows, len(q.times_ms), q.problem) for q in queries.values()] == [(1, 3, ""), (300, 3, "")]
    assert (found["before"].problems, found["after"].problems) == ((), ())


def test_what_a_query_may_not_do(fresh: Connection, empty: str) -> None:
    with psycopg.connect(empty) as app:
        before = content(app)
        app.commit()
        found = _measured(
            fresh,
            write="WITH gone AS (DELETE FROM tag RETURNING id) SELECT * FROM gone",
            two="SELECT 1; COMMIT; DELETE FROM tag",
            out="SELECT set_config('transaction_read_only', 'off', true), nextval('tag_id_seq')",
            slow="SELECT pg_sleep(9)",
            good="SELECT * FROM tag",
        )
        problems = {name: query.problem for name, query in found.items()}
        assert problems["write"] == "cannot execute SELECT in a read-only transaction (25006)"
        assert "cannot insert multiple commands" in problems["two"]
        assert "read-only" in problems["out"] or "read-write" in problems["out"]
        assert problems["slow"] == "canceling statement due to statement timeout (57014)"
        assert (problems["good"], found["good"].rows) == ("", 20)
        assert content(app) == before


def test_names_mean_what_they_mean_to_the_application(fresh: Connection) -> None:
    fresh.execute("CREATE SCHEMA shop; CREATE TABLE shop.only_here (id int)")
    assert _measured(fresh, here="SELECT * FROM only_here")["here"].problem
    fresh.execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = shop', current_database()); END $$")
    with connect(
        f"postgresql://{fresh.info.user}:{fresh.info.password}@{fresh.info.host}:{fresh.info.port}/{fresh.info.dbname}",
        name="test",
    ) as later:
        assert _measured(later, here="SELECT * FROM only_here")["here"].problem == ""


def test_a_query_that_fails_after_the_swap_is_a_failure(empty: str) -> None:
    # Given one that only text ids understand, one that finds nothing any more, and one that goes on
    create_world(empty)
    queries = _queries(
        typed="SELECT * FROM account WHERE id = 'x'::text",
        good="SELECT count(*) FROM account",
        was_text="SELECT * FROM account WHERE pg_typeof(id)::text = 'text'",
    )
    with connect(empty, name="test") as connection:
        begin_run(empty, plan_for(connection.info.dbname, queries=queries))
    run_to_the_end(empty)
    with connect(empty, name="test") as connection:
        found = measurements.read_measurements(connection, the_run(connection).run_id)
    speed = compare_queries(found["before"], found["after"])
    failures = {query.name: query.failure for query in speed.failures}
    assert failures == {
        "typed": "operator does not exist: uuid = text (42883)",
        "was_text": "found 300 rows before, and finds none now",
    }
    assert next(query.faster for query in speed.timed if query.name == "good") is not None


def _at(**times: tuple[float, ...] | str) -> Measurement:
    queries = [
        MeasuredQuery(name=name, statement=name, timed=True, problem=given)
        if isinstance(given, str)
        else MeasuredQuery(name=name, statement=name, timed=True, times_ms=given, rows=1)
        for name, given in times.items()
    ]
    return Measurement(taken_at=datetime.now(UTC), seconds=0, queries=tuple(queries))


def test_the_figure_is_the_median_of_the_queries(connection: Connection, criteria: Criteria) -> None:
    run_id = the_run(connection).run_id

    def judged(before: Measurement, after: Measurement) -> tuple[Any, Any]:
        measurements.keep(connection, run_id, "before", before)
        measurements.keep(connection, run_id, "after", after)
        found = criteria()[2]
        return (None if found.measured is None else round(found.measured, 4), found.met)

    steady = _at(a=(10, 10, 10), b=(10, 11, 90), c=(10, 10, 10))
    assert judged(steady, _at(a=(9, 9, 9), b=(5, 5.5, 70), c=(20, 20, 20))) == (0.1, False)
    assert judged(steady, _at(a=(7, 7, 7), b=(5, 5.5, 70), c=(20, 20, 20))) == (0.3, None), "b may be chance"
    assert judged(steady, _at(a=(7, 7, 7), b=(5, 5.5, 6), c=(20, 20, 20))) == (0.3, True)
    assert judged(steady, _at(a=(8, 8, 8), b=(8.8, 8.8, 8.8), c=(8, 8, 8))) == (0.2, False), "more than, not as much"
    # A query that fails is not left out
    assert judged(steady, _at(a=(1, 1, 1), b=(1, 1, 1), c="gone")) == (0.9045, False)
    assert judged(steady, _at(a=(1, 1, 1), b=(1, 1, 1))) == (0.9045, False)
    # What may be chance does not make it met
    wild = _at(a=(10, 10, 10), b=(4, 20, 90), c=(1, 20, 90))
    assert judged(wild, _at(a=(5, 5, 5), b=(3, 10, 70), c=(1, 9, 70))) == (0.5, None)
    assert judged(wild, _at(a=(5, 5, 5), b=(1, 1, 1), c=(1, 9, 70))) == (0.55, True)
    assert judged(wild, _at(a=(9, 9, 9), b=(3, 25, 70), c=(1, 25, 70))) == (-0.25, False)
    # One that had no figure before says nothing
    assert judged(_at(a="timeout"), _at(a=(1, 1, 1))) == (None, None)
    assert criteria()[2].shown == "no query could be timed before the run"


def test_the_frequent_statements_have_plans(fresh: Connection) -> None:
    with read_only(fresh, timeout_ms=5000, lock_timeout_ms=5000):
        plan = generic_plan(fresh, "SELECT * FROM account a JOIN tenant t ON t.id = a.tenant_id WHERE a.id = $1")
        assert "Index Scan of account by account_pkey" in plan_line(plan)
        assert "Seq Scan of tag" in plan_line(generic_plan(fresh, "SELECT count(*) FROM tag"))
    with pytest.raises(psycopg.Error), read_only(fresh, timeout_ms=5000, lock_timeout_ms=5000):
        generic_plan(fresh, "SELECT gone FROM account WHERE id = $1")
    forget_prepared(fresh)
    # Where the server keeps no statements, it is said, and nothing stops
    asked = plan_for(fresh.info.dbname, statements=9, queries=[])
    assert measure_before(fresh, asked).problems == (
        "statements: the extension pg_stat_statements is not installed in this database",
    )
    loaded = fresh.execute("SELECT current_setting('shared_preload_libraries')").fetchone()
    if loaded == ("",):
        return
    # Where it keeps them, those that read and take most time have a plan; what writes is left out
    fresh.execute("CREATE EXTENSION pg_stat_statements SCHEMA public")
    for number in range(3):
        fresh.execute("SELECT count(*) FROM public.tag AS a, public.tag AS b, public.tag AS c, public.tag AS d")
        fresh.execute(SQL("SELECT label FROM public.tag WHERE id = {}").format(number))
        fresh.execute("UPDATE public.tag SET label = label")
    found = measure_before(fresh, asked)
    assert found.problems == ()
    assert {(query.timed, query.problem) for query in found.queries} == {(False, "")}
    assert found.queries[0].statement.endswith("public.tag AS c, public.tag AS d")
    plans = {query.statement: plan_line(query.plan) for query in found.queries}
    assert plans["SELECT label FROM public.tag WHERE id = $1"] == "Seq Scan of tag"
    assert not [text for text in plans if "UPDATE" in text]


def test_an_interrupted_measurement_is_not_kept_and_going_back_forgets_the_last_one(connection: Connection) -> None:
    run = the_run(connection)
    assert measure_after(connection, run, [], lambda: False) is None
    runs.forget_data(connection, run.run_id)
    assert list(measurements.read_measurements(connection, run.run_id)) == ["before"]


def test_permissions_are_still_known_when_ids_are_uuids(app: psycopg.Connection) -> None:
    found = app.execute(
        "SELECT permission.permissions_of(account_id::text, tenant_id::text) FROM membership LIMIT 1"
    ).fetchone()
    assert found == (["member"],)


PLAN = """\
version = 1
[database]
name = "shop"
[steps.audit_log]
[success]
faster = 0.2
[[success.queries]]
name = "orders"
sql = "SELECT 1"
"""


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ('sql = "SELECT 1"', 'sql = "DELETE FROM x"', 9, "begins with SELECT"),
        ("faster = 0.2", "faster = 20", 6, "less than 1"),
        ("faster = 0.2", "fastre = 0.2", 6, "unknown key"),
        ('sql = "SELECT 1"', 'sql = "SELECT 1"\n[[success.queries]]\nname = "orders"\nsql = "TABLE x"', 5, "twice"),
    ],
)
def test_mistakes_in_the_plan_have_their_line(before: str, after: str, line: int, words: str) -> None:
    parse_plan(PLAN, source="plan.toml")
    with pytest.raises(WrongUse) as refused:
        parse_plan(PLAN.replace(before, after), source="plan.toml")
    assert f"plan.toml:{line}: " in str(refused.value)
    assert words in str(refused.value)
