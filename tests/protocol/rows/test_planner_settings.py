"""Planner settings of a drain are the drain's: whatever else runs in its transaction is planned as it always is."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.oracles.returning import go_back
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, table

pytestmark = [pytest.mark.protocol, pytest.mark.usefixtures("event_triggers_fire")]

Begin = Callable[..., Rebuild]

SEEN = (
    "concat_ws(' ', current_setting('enable_seqscan'), current_setting('enable_hashjoin'),"
    " current_setting('enable_mergejoin'), current_setting('work_mem'))"
)

SCHEMA = """
CREATE TABLE p (id text PRIMARY KEY, n int);
CREATE TABLE c (id int PRIMARY KEY, p_id text REFERENCES p);
INSERT INTO p SELECT gen_random_uuid()::text, g FROM generate_series(1, 300) AS g;
INSERT INTO c SELECT n, id FROM p;
CREATE MATERIALIZED VIEW planned AS SELECT p.id, c.id AS n, SEEN AS settings FROM p JOIN c ON c.p_id = p.id;
CREATE TABLE seen (tag text, settings text);
CREATE FUNCTION look() RETURNS event_trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO public.seen VALUES (tg_tag, SEEN); END $$
"""


@pytest.mark.attack("C10", "a materialized view that is built beside a drain, whose planner settings hold")
@pytest.mark.parametrize("on_invalid", ["fail", "quarantine"])
def test_a_materialized_view_is_filled_with_the_servers_own_planner_settings(
    app: psycopg.Connection, begin: Begin, attack: Attack, on_invalid: str
) -> None:
    """Forward and back; few rows are logged, so that drains look them up by index. Settings of the database stay."""
    database = Identifier(app.info.dbname)
    app.execute(SQL("ALTER DATABASE {} SET enable_mergejoin = off").format(database))
    app.execute(SQL("ALTER DATABASE {} SET work_mem = '3MB'").format(database))
    for statement in SCHEMA.split(";\n"):
        app.execute(statement.replace("SEEN", SEEN).encode())
    columns = [{"name": "p_id", "to": "uuid", "on_invalid": on_invalid}]
    child = table("c", columns=columns)
    parent = table("p", columns=[{"name": "id", "to": "uuid", "on_invalid": on_invalid}])
    rebuild = begin(parent, child)
    rebuild.ready()
    app.execute("UPDATE p SET n = -n WHERE n < 9")
    app.execute("UPDATE c SET id = -id WHERE id < 9")
    app.execute("CREATE EVENT TRIGGER look ON ddl_command_end EXECUTE FUNCTION look()")
    rebuild.finish()
    expected = [("on on off 3MB",)]
    found = app.execute("SELECT DISTINCT settings FROM planned").fetchall()
    assert found == expected
    app.execute("UPDATE p SET n = 1000 - n WHERE n < 9")
    app.execute("UPDATE c SET id = 1000 - id WHERE id < 9")
    if on_invalid == "fail":
        go_back(rebuild)
        found = app.execute("SELECT DISTINCT settings FROM planned").fetchall()
    app.execute("DROP EVENT TRIGGER look")
    assert found == expected
    assert app.execute("SELECT DISTINCT settings FROM seen").fetchall() == expected
    attack.record("planned as the database plans")
