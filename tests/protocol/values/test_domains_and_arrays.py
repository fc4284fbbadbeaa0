"""Columns of domains over text become uuid, arrays of ids become uuid[], composite types stay as they are."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import column_type, differences, live, one, past
from support.runs.harness import Rebuild, Table, Url, table

from monitoring.catalogue_diff.changes import catalogue_changes
from producer.check.check import examine
from producer.planning.prepared_run import prepare_run
from producer.planning.resolution import PlanFile
from replank.errors import NeedsOperator, WrongUse
from replank.plan.plan import DatabasePlan, Plan
from replank.values.states import RunState, TableState
from sql.session.connection import connect

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue, pytest.mark.core]

Begin = Callable[..., Rebuild]

DOMAINS = """
CREATE DOMAIN any_id AS varchar(36) CONSTRAINT long_enough CHECK (length(VALUE) = 36);
CREATE DOMAIN entity_id AS any_id NOT NULL DEFAULT gen_random_uuid()::text
  CONSTRAINT in_capitals CHECK (VALUE = upper(VALUE) OR VALUE = lower(VALUE));
CREATE DOMAIN shouted AS text NOT NULL CONSTRAINT loud CHECK (VALUE = upper(VALUE));
CREATE DOMAIN plain_id AS text;
CREATE TABLE person (id entity_id PRIMARY KEY, friend_id plain_id REFERENCES person, code shouted, n int UNIQUE);
CREATE TABLE loud (id shouted PRIMARY KEY, n int);
CREATE TABLE kept (id shouted PRIMARY KEY, ref text NOT NULL);
INSERT INTO person (friend_id, code, n) SELECT NULL, 'C' || g, g FROM generate_series(1, 200) AS g;
UPDATE person SET friend_id = id WHERE n % 2 = 0;
INSERT INTO loud SELECT upper(gen_random_uuid()::text), g FROM generate_series(1, 100) AS g;
INSERT INTO kept SELECT 'K' || g, gen_random_uuid()::text FROM generate_series(1, 50) AS g
"""
CONSENT = ["domain_checks"]


def _column(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "to": "uuid", **more}


PEOPLE = table("person", columns=[_column("id", consent=CONSENT), _column("friend_id")])
LOUD = table("loud", columns=[_column("id", consent=CONSENT)])


def _script(app: psycopg.Connection, statements: str) -> None:
    for statement in statements.split(";\n"):
        app.execute(statement.encode())


def _findings(database: Url, planned: Table) -> dict[str, str]:
    name = database.rsplit("/", 1)[1].split("?")[0]
    file = PlanFile(plan=Plan(database=DatabasePlan(name=name), tables=(planned.planned,)), source="plan.toml", text="")
    with connect(database, name="check") as connection:
        return {
            finding.code: finding.message for finding in examine(connection, prepare_run(connection, file)).findings
        }


@pytest.mark.parametrize("state", [TableState.COPYING, TableState.FIRST_DRAIN, TableState.READY])
def test_a_column_leaves_its_domain_and_takes_not_null_and_default_along(
    app: psycopg.Connection, begin: Begin, state: TableState
) -> None:
    _script(app, DOMAINS)
    rebuild = begin(PEOPLE, LOUD, table("kept", "ref"))
    rebuild.until(state)
    app.execute("INSERT INTO person (code, n) SELECT 'D', g FROM generate_series(300, 320) AS g")
    app.execute("DELETE FROM person WHERE n % 3 = 1 AND n % 2 = 1")
    app.execute("UPDATE loud SET id = upper(gen_random_uuid()::text) WHERE n % 5 = 0")
    app.execute("UPDATE person SET id = upper(gen_random_uuid()::text) WHERE n % 10 = 3")
    # A TRUNCATE is logged without a key, which the domain does not allow.
    app.execute("TRUNCATE kept")
    app.execute("INSERT INTO kept SELECT 'T' || g, gen_random_uuid()::text FROM generate_series(1, 20) AS g")
    rebuild.finish()
    assert differences(app, past("person"), live("person"), {"id", "friend_id"}) == []
    assert differences(app, past("loud"), live("loud"), {"id"}) == []
    assert differences(app, past("kept"), live("kept"), {"ref"}) == []
    assert column_type(app, live("person"), "id") == column_type(app, live("loud"), "id") == "uuid"
    assert column_type(app, live("person"), "code") == column_type(app, live("kept"), "id") == "shouted"
    assert app.execute("INSERT INTO person (code, n) VALUES ('NEW', -1) RETURNING id IS NOT NULL").fetchone() == (True,)
    with pytest.raises(psycopg.errors.NotNullViolation):
        app.execute("INSERT INTO loud (n) VALUES (1)")
    told = catalogue_changes(rebuild.connection, rebuild.run)
    assert [change for change in told if not change.explained] == []


def test_the_rules_of_a_domain_are_lost_only_by_consent(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    _script(app, DOMAINS)
    with pytest.raises(NeedsOperator, match=r"domain_checks_lost.*in_capitals CHECK.*long_enough CHECK"):
        begin(table("person", columns=[_column("id"), _column("friend_id")]))
    told = _findings(database, PEOPLE)
    assert "and it becomes plain uuid" in told["domain_left"]
    assert "domain_checks_lost" not in told
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0


ARRAYS = """
CREATE TABLE basket (id text PRIMARY KEY, ids text[] NOT NULL DEFAULT '{}', others varchar(36)[], padded char(36)[],
  n int, CONSTRAINT few CHECK (cardinality(ids) < 50));
CREATE INDEX basket_ids ON basket USING gin (ids);
CREATE UNIQUE INDEX basket_others ON basket (others) WHERE n > 0;
CREATE VIEW flat AS SELECT b.id, u AS item FROM basket b, unnest(b.ids) AS u;
INSERT INTO basket
  SELECT gen_random_uuid()::text, ARRAY(SELECT gen_random_uuid()::text FROM generate_series(1, g % 4)),
         CASE WHEN g % 3 = 0 THEN ARRAY[gen_random_uuid()::text, NULL] END, ARRAY[gen_random_uuid()::text], g
    FROM generate_series(1, 150) AS g;
INSERT INTO basket VALUES (gen_random_uuid()::text, ARRAY[[gen_random_uuid()::text], [upper(gen_random_uuid()::text)]]),
  (gen_random_uuid()::text, ('[3:4]={' || gen_random_uuid() || ',' || gen_random_uuid() || '}')::text[])
"""
INTO = {"ids": "uuid[]", "others": "uuid[]", "padded": "uuid[]"}
BASKET = table("basket", columns=[_column("id"), *({"name": name, "to": to} for name, to in INTO.items())])


@pytest.mark.parametrize("state", [TableState.COPYING, TableState.FIRST_DRAIN, TableState.READY])
def test_arrays_of_ids_become_arrays_of_uuids(app: psycopg.Connection, begin: Begin, state: TableState) -> None:
    """NULL elements, empty arrays, several dimensions and lower bounds are as they were."""
    _script(app, ARRAYS)
    rebuild = begin(BASKET)
    rebuild.until(state)
    app.execute("UPDATE basket SET ids = ids || gen_random_uuid()::text WHERE n % 7 = 0")
    app.execute("UPDATE basket SET others = ARRAY[upper(gen_random_uuid()::text)] WHERE n % 11 = 0")
    app.execute("INSERT INTO basket (id) SELECT gen_random_uuid()::text FROM generate_series(1, 5)")
    app.execute("DELETE FROM basket WHERE n % 13 = 0")
    rebuild.finish()
    assert differences(app, past("basket"), live("basket"), {"id": "uuid", **INTO}) == []
    assert {column_type(app, live("basket"), name) for name in INTO} == {"uuid[]"}
    assert column_type(app, live("flat"), "item") == "uuid"
    default = "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'basket'::regclass"
    assert one(app, default) == "'{}'::uuid[]"
    assert app.execute("INSERT INTO basket (id) VALUES (gen_random_uuid()) RETURNING ids").fetchone() == ([],)
    assert one(app, "SELECT array_ndims(ids) FROM basket WHERE array_ndims(ids) > 1") == 2
    assert one(app, "SELECT array_lower(ids, 1) FROM basket WHERE array_lower(ids, 1) > 1") == 3
    app.execute("SET enable_seqscan = off")
    plan = app.execute("EXPLAIN SELECT FROM basket WHERE ids @> '{0eebc99a-9c0b-4ef8-bb6d-6bb9bd380a11}'").fetchall()
    assert "basket_ids" in str(plan)
    told = catalogue_changes(rebuild.connection, rebuild.run)
    assert [change for change in told if not change.explained] == []


def test_one_bad_element_stops_the_run_and_is_named(app: psycopg.Connection, begin: Begin) -> None:
    _script(app, ARRAYS)
    app.execute("UPDATE basket SET ids = ARRAY['nonsense', NULL] WHERE n = 5")
    rebuild = begin(BASKET)
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert "nonsense" in rebuild.why()
    app.execute("UPDATE basket SET ids = ARRAY[gen_random_uuid()::text, NULL] WHERE n = 5")
    rebuild.retry()
    rebuild.finish()
    assert differences(app, past("basket"), live("basket"), {"id": "uuid", **INTO}) == []


COMPOSED = """
CREATE TYPE place AS (street text, owner_id text);
CREATE TABLE house (id text PRIMARY KEY, at place, more place[], n int);
INSERT INTO house SELECT gen_random_uuid()::text, ROW('s', gen_random_uuid()::text)::place,
  ARRAY[ROW('a', NULL)::place], g FROM generate_series(1, 60) AS g
"""


def test_composite_types_are_carried_as_they_are(app: psycopg.Connection, begin: Begin) -> None:
    _script(app, COMPOSED)
    for column, to in (("at", "uuid"), ("more", "uuid[]")):
        with pytest.raises(WrongUse, match=rf"house\.{column} is public\.place.*become uuid"):
            begin(table("house", columns=[_column(column, to=to)]))
    rebuild = begin(table("house", "id"))
    rebuild.ready()
    app.execute("UPDATE house SET at.street = 'moved' WHERE n % 3 = 0")
    rebuild.finish()
    assert differences(app, past("house"), live("house"), {"id"}) == []
    assert column_type(app, live("house"), "at") == "place"
    assert column_type(app, live("house"), "more") == "place[]"


def test_types_and_columns_that_hold_rows_of_a_planned_table_are_refused(app: psycopg.Connection, begin: Begin) -> None:
    """Their own definition, or the rows in them, would have to be converted."""
    _script(app, COMPOSED)
    app.execute("CREATE TYPE pair AS (one house, n int)")
    with pytest.raises(NeedsOperator, match=r"column one of composite type public\.pair"):
        begin(table("house", "id"))
    app.execute("DROP TYPE pair")
    app.execute("CREATE TABLE history (at date, was house)")
    with pytest.raises(NeedsOperator, match=r"column was of table public\.history"):
        begin(table("house", "id"))
