"""Somebody changes what hangs on a table while it is rebuilt; or the run is rolled back."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.journal_oracle import diff_catalogue, snapshot_catalogue
from support.oracles.oracle import column_type, live, one, traces
from support.runs.harness import Rebuild, Url, table

from producer.rollback.rollback import roll_back
from protocol.dependents.hanging import PLANNED, SCHEMAS, run
from replank.values.states import RunState
from sql.swap.cutover import _prepare, stamp_of
from sql.swap.swap_under_lock import CutoverLimits

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue]

Begin = Callable[..., Rebuild]

CHANGES = {
    "view": "CREATE OR REPLACE VIEW v AS SELECT id, n FROM t WHERE n > 1",
    "view above it": "CREATE VIEW extra AS SELECT * FROM v",
    "dropped view": "DROP VIEW w",
    "renamed view": "ALTER VIEW v RENAME TO extra",
    "option of a view": "ALTER VIEW v SET (security_barrier = true)",
    "grant on a view": "GRANT SELECT ON v TO PUBLIC",
    "column grant on a view": "GRANT SELECT (id) ON v TO PUBLIC",
    "owner of a view": "ALTER VIEW v OWNER TO pg_monitor",
    "comment on a view": "COMMENT ON VIEW v IS 'new'",
    "default of a view": "ALTER VIEW v ALTER COLUMN n SET DEFAULT 3",
    "rule of a view": "CREATE RULE extra AS ON DELETE TO v DO INSTEAD NOTHING",
    "trigger of a view": "CREATE TRIGGER extra INSTEAD OF DELETE ON w FOR EACH ROW EXECUTE FUNCTION f()",
    "index of a materialized view": "CREATE INDEX extra ON m (id)",
    "statistics of a materialized view": "CREATE STATISTICS extra ON id, n FROM m",
    "policy": "ALTER POLICY pol ON t USING (n > 2)",
    "dropped policy": "DROP POLICY pol ON t",
    "rule": "CREATE OR REPLACE RULE r AS ON DELETE TO t DO ALSO SELECT 1",
    "rule's state": "ALTER TABLE t DISABLE RULE r",
    "rule of a table outside": "CREATE RULE extra AS ON DELETE TO outside DO ALSO DELETE FROM t",
    "policy of a table outside": "CREATE POLICY extra ON outside USING (EXISTS (SELECT FROM t))",
    "row filter": "ALTER PUBLICATION {p} SET TABLE t WHERE (n > 1)",
    "dropped from a publication": "ALTER PUBLICATION {p} DROP TABLE t",
    "target of extended statistics": "ALTER STATISTICS st SET STATISTICS 9",
    "dropped extended statistics": "DROP STATISTICS st",
    "function": "CREATE OR REPLACE FUNCTION g(t) RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "grant on a function": "REVOKE ALL ON FUNCTION g FROM PUBLIC",
    "dropped function": "DROP FUNCTION g",
    "column of the row type": "CREATE TABLE extra (whole t)",
    "function of a view's row type": "CREATE FUNCTION extra(v) RETURNS int LANGUAGE sql AS 'SELECT 1'",
}

DRESSED = """
CREATE TABLE t (id text PRIMARY KEY, n int);
CREATE TABLE outside (n int);
INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 9) AS g;
CREATE VIEW v AS SELECT id, n FROM t;
CREATE VIEW w AS SELECT n FROM t;
CREATE MATERIALIZED VIEW m AS SELECT id, n FROM v;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION g(t) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE RULE r AS ON DELETE TO t DO ALSO NOTHING;
CREATE POLICY pol ON t USING (n > 1);
CREATE STATISTICS st ON id, n FROM t;
CREATE PUBLICATION {p} FOR TABLE t
"""


def test_a_change_during_the_run_stops_the_cutover(app: psycopg.Connection, begin: Begin) -> None:
    """Of anything that hangs on the tables. One schema and one set for each change."""
    schemas = {what: f"s{number}" for number, what in enumerate(CHANGES)}
    for schema in [*schemas.values(), "untouched"]:
        run(app, f"CREATE SCHEMA {schema}", f"SET search_path = {schema}", DRESSED.replace("{p}", f"pub_{schema}"))
    rebuild = begin(*[table("t", "id", schema=schema) for schema in [*schemas.values(), "untouched"]], sets="apart")
    rebuild.ready()
    for what, schema in schemas.items():
        run(app, f"SET search_path = {schema}", CHANGES[what].replace("{p}", f"pub_{schema}"))
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    problems = {member.spec.schema: rebuild.sets[member.set_no - 1].problem for member in rebuild.tables}
    silent = [what for what, schema in schemas.items() if "changed during the run" not in problems[schema]]
    assert silent == []
    assert "(view s0.v)" in problems["s0"]
    assert f"policy pol of {schemas['policy']}.t" in problems[schemas["policy"]]
    assert column_type(app, live("t", "untouched"), "id") == "uuid"


LIMITS = CutoverLimits(lock_timeout_ms=500, wait_ms=1_000, hold_budget_ms=1_000, max_log_rows=1_000)


def test_every_such_change_is_seen_under_the_lock(app: psycopg.Connection, begin: Begin) -> None:
    """The stamp that is compared there changes with each, though it reads no definition."""
    run(app, DRESSED.replace("{p}", "pub"))
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    prepared = _prepare(rebuild.connection, [rebuild.spec("t")], (), LIMITS, {})
    before = stamp_of(rebuild.connection, prepared)
    unseen = []
    for what, change in CHANGES.items():
        with rebuild.connection.transaction(force_rollback=True):
            run(rebuild.connection, "SET LOCAL search_path = public", change.replace("{p}", "pub"))
            if stamp_of(rebuild.connection, prepared) == before:
                unseen.append(what)
    assert unseen == []
    assert stamp_of(rebuild.connection, prepared) == before
    rebuild.finish()


@pytest.mark.usefixtures("everything")
def test_rollback_after_a_missed_cutover_leaves_no_trace(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin, database: Url
) -> None:
    """An attempt has built every view; a second one builds them anew; then the operator goes back."""
    before = snapshot_catalogue(database, SCHEMAS)
    rebuild = begin(*PLANNED, lock_timeout_ms=50, cutover_wait_ms=100)
    rebuild.ready()
    other.execute("SELECT count(*) FROM reports.rich_people")
    for _ in range(2):
        assert not rebuild.try_to_swap()
        assert "pid" in "".join(each.problem for each in rebuild.sets)
        assert one(app, "SELECT count(*) FROM replank_next_reports.totals") == one(app, "SELECT count(*) FROM person")
        app.execute("INSERT INTO person (n, name) SELECT max(n) + 1, 'more' FROM person")
    other.commit()
    roll_back(rebuild.connection, say=lambda _: None)
    assert traces(app) == []
    assert one(app, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'replank%'") == 0
    assert diff_catalogue(before, snapshot_catalogue(database, SCHEMAS)) == []
