"""What the catalogue and the trial refuse."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from support.schemas.names import longest

from inspect_check.conftest import Database, codes, only
from producer.check.check import examine
from producer.planning.prepared_run import prepare_run
from replank.errors import WrongUse
from sql.ledger.runs import runs
from sql.ledger.upgrades.ledger import ensure_ledger
from sql.session.connection import connect

pytestmark = pytest.mark.catalogue


def test_gotcha_25_a_foreign_key_with_one_end_in_the_plan_is_torn(database: Database) -> None:
    # Given parent and child, and plans that name one of the two
    database.run(
        "CREATE TABLE parent (id text PRIMARY KEY)",
        "CREATE TABLE child (id text PRIMARY KEY, parent_id text REFERENCES parent)",
    )
    # Then the check names the column that is missing, whichever it is
    found = only(database.check({"parent": ["id"]}).blockers, "foreign_key_torn")
    assert (found.table, found.column) == ("public.parent", "id")
    assert found.details["missing"] == {"table": "public.child", "column": "parent_id"}
    found = only(database.check({"child": ["id", "parent_id"]}).blockers, "foreign_key_torn")
    assert "Add column id of table public.parent" in found.hint
    assert codes(database.check({"parent": ["id"], "child": ["parent_id"]}).blockers) == []


def test_gotcha_29_an_index_left_invalid_is_reported(database: Database) -> None:
    # Given a CREATE INDEX CONCURRENTLY that failed
    database.run("CREATE TABLE t (id text PRIMARY KEY, a text)", "INSERT INTO t VALUES ('1', 'x'), ('2', 'x')")
    with psycopg.connect(database.url, autocommit=True) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a)")
    database.run("TRUNCATE t; INSERT INTO t VALUES ('$ID')")
    report = database.check({"t": ["id"]})
    assert only(report.warnings, "invalid_index").details["index"] == "public.t_a"
    assert report.blockers == ()


def test_gotcha_31_a_schema_may_have_the_longest_name_there_is(database: Database) -> None:
    long = longest("ж")
    database.run(f'CREATE SCHEMA "{long}"', f'CREATE TABLE "{long}".t (id text PRIMARY KEY)')
    assert database.check({f"{long}.t": ["id"]}).blockers == ()


def test_a_table_with_no_key_is_refused_and_its_values_are_read_all_the_same(database: Database) -> None:
    database.run("CREATE TABLE t (id text)", "INSERT INTO t VALUES ('word')")
    report = database.check({"t": ["id"]})
    assert sorted(codes(report.blockers)) == ["no_key", "not_convertible"]


REFUSED = {
    "a publication of all tables": ("CREATE PUBLICATION p FOR ALL TABLES", "publication p publishes all tables"),
    "a composite type": ("CREATE TYPE made AS (n int, whole t)", "column whole of composite type public.made"),
    "a column of its type": ("CREATE TABLE other (n int, many t[])", "column many of table public.other"),
    "a function that a view uses": (
        "CREATE FUNCTION f(t) RETURNS text LANGUAGE sql AS 'SELECT $1.a'; CREATE VIEW v AS SELECT f(t) AS a FROM t",
        "public.f(public.t) is used by rule _RETURN on view public.v",
    ),
    "a function that a default uses": (
        "CREATE FUNCTION f(t DEFAULT NULL) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE TABLE other (n int DEFAULT f())",
        "public.f(public.t) is used by default value for column n of table public.other",
    ),
    "an aggregate": (
        "CREATE FUNCTION f(int, t) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE AGGREGATE agg (t) (SFUNC = f, STYPE = int)",
        "public.agg(public.t) is an aggregate",
    ),
    "a policy of a table outside": (
        "CREATE TABLE other (n int); CREATE POLICY pol ON other USING (EXISTS (SELECT FROM t))",
        "policy pol on table public.other",
    ),
    "a rule of a table outside": (
        "CREATE TABLE other (n int); CREATE RULE r AS ON DELETE TO other DO ALSO DELETE FROM t",
        "rule r on table public.other",
    ),
    "a rule of a view outside": (
        "CREATE TABLE other (n int); CREATE VIEW v AS SELECT n FROM other;"
        "CREATE RULE r AS ON DELETE TO v DO INSTEAD DELETE FROM t",
        "rule r on view public.v",
    ),
    "what a view's row type is used for": (
        "CREATE VIEW v AS SELECT id FROM t; CREATE TABLE other (n int, whole v)",
        "column whole of table public.other (of view public.v)",
    ),
    "a materialized view of what policies hide": (
        "CREATE POLICY pol ON t USING (true); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
        "GRANT SELECT ON t TO pg_monitor; CREATE MATERIALIZED VIEW m AS SELECT a FROM t;"
        "ALTER MATERIALIZED VIEW m OWNER TO pg_monitor",
        "public.m holds the rows that policies of public.t let role pg_monitor see",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_lost_is_refused_with_the_reason(database: Database, case: str) -> None:
    script, reason = REFUSED[case]
    database.run("CREATE TABLE t (id text PRIMARY KEY, a text)")
    database.run(*script.split(";"))  # type: ignore[arg-type]
    report = database.check({"t": ["id"]})
    found = [f for f in report.blockers if f.code == "not_carried"]
    assert reason in found[0].message
    assert {(f.table, bool(f.hint)) for f in found} == {("public.t", True)}


def test_a_temporary_view_is_refused(database: Database) -> None:
    database.run("CREATE TABLE t (id text PRIMARY KEY)")
    with psycopg.connect(database.url, autocommit=True) as other:
        other.execute("CREATE TEMPORARY VIEW v AS SELECT id FROM t")
        assert only(database.check({"t": ["id"]}).blockers, "not_carried").details["kind"] == "temporary view"


def test_rows_that_policies_hide_from_the_role_are_not_left_behind(
    database: Database, role: Callable[[], tuple[str, str]]
) -> None:
    # Given a table whose owner is bound by its policies, and Replank as that owner
    name, url = role()
    database.run("CREATE TABLE t (id text PRIMARY KEY, n int)", "CREATE POLICY pol ON t USING (n > 1)")
    database.run("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "INSERT INTO t VALUES ('$ID', 1)")
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE t OWNER TO {name}; GRANT CREATE ON DATABASE {database.name} TO {name}")
        connection.execute(f"GRANT ALL ON SCHEMA public TO {name}")
    assert "not_carried" not in codes(database.check({"t": ["id"]}, url=url).blockers)
    database.run("ALTER TABLE t FORCE ROW LEVEL SECURITY")
    plan = database.plan({"t": ["id"]})
    with connect(url, name="check") as connection:
        findings = examine(connection, prepare_run(connection, plan)).findings
        found = only([f for f in findings if f.blocks], "not_carried")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM public.t")
    assert (found.details["kind"], name in found.message) == ("row security", True)


def test_what_cannot_work_with_uuids_is_named_before_the_first_write(database: Database) -> None:
    # Given views, a policy, a rule, a publication and functions that take the id for a text
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY, a text)",
        "CREATE TABLE other (id text)",
        "CREATE VIEW fine AS SELECT id FROM t",
        "CREATE VIEW worded AS SELECT left(id, 3) AS word FROM fine",
        "CREATE VIEW above AS SELECT word FROM worded",
        "CREATE MATERIALIZED VIEW joined AS SELECT a FROM t JOIN other USING (id)",
    )
    report = database.check({"t": ["id"]})
    failed = [f for f in report.blockers if f.code == "trial_failed"]
    assert [f.details["object"] for f in failed] == ["materialized view public.joined", "view public.worded"]
    assert "uuid = text" in failed[0].message
    database.run(
        "DROP VIEW above, worded",
        "DROP MATERIALIZED VIEW joined",
        "CREATE MATERIALIZED VIEW m AS SELECT id FROM t",
        "CREATE INDEX ON m (lower(id))",
        "CREATE POLICY pol ON t USING (id LIKE 'a%')",
        "CREATE POLICY fine ON t USING (id = 'ffffffff-ffff-4fff-8fff-ffffffffffff')",
        "CREATE RULE r AS ON DELETE TO t DO ALSO INSERT INTO other VALUES (upper(OLD.id))",
        "CREATE PUBLICATION pub FOR TABLE t WHERE (id > 'word')",
        "CREATE FUNCTION f(w text) RETURNS SETOF t LANGUAGE sql BEGIN ATOMIC SELECT * FROM t WHERE id = w; END",
        "CREATE FUNCTION g(t) RETURNS text LANGUAGE sql AS 'SELECT upper($1.id)'",
    )
    report = database.check({"t": ["id"]})
    failed = [f for f in report.blockers if f.code == "trial_failed"]
    assert [f.details["object"] for f in failed] == [
        "materialized view public.m",
        "function public.f(text)",
        "row security policy fine of public.t",
        "row security policy pol of public.t",
        "rule r of public.t",
        "publication pub of public.t",
    ]
    assert {f.code for f in report.blockers if f.code != "not_convertible"} == {"trial_failed"}
    assert database.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replank%'") == []


def test_clients_of_views_are_told_of_the_new_types(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY, up text, a text)",
        "CREATE VIEW v AS SELECT up, a, id FROM t",
        "CREATE VIEW same AS SELECT concat(id) AS id, a FROM t",
    )
    report = database.check({"t": ["id", "up"]})
    found = only(report.warnings, "view_changes_type")
    assert (found.details["view"], found.details["columns"]) == ("public.v", ["up", "id"])
    assert report.blockers == ()


def test_a_table_that_hides_another_of_its_name_from_a_view_is_refused(database: Database) -> None:
    database.run(
        "CREATE SCHEMA s CREATE TABLE t (id text PRIMARY KEY)",
        "CREATE TABLE t (id text PRIMARY KEY)",
        "CREATE VIEW v AS SELECT id FROM t JOIN s.t AS x USING (id)",
        "CREATE VIEW s.fine AS SELECT id FROM s.t",
        "CREATE POLICY fine ON s.t USING (EXISTS (SELECT FROM s.t AS x WHERE x.id = t.id))",
    )
    found = only(database.check({"t": ["id"], "s.t": ["id"]}).blockers, "trial_failed")
    assert found.details["object"] == "view public.v"


def test_names_of_views_that_are_taken_are_refused(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY)",
        "CREATE SCHEMA reports CREATE VIEW v AS SELECT id FROM public.t",
        "CREATE SCHEMA replank_past_reports CREATE TABLE v (n int)",
    )
    assert only(database.check({"t": ["id"]}).blockers, "name_taken").details["object"] == "replank_past_reports.v"


def test_partitioned_tables_are_checked_with_all_their_partitions(database: Database) -> None:
    database.run(
        "CREATE TABLE p (id text PRIMARY KEY) PARTITION BY HASH (id)",
        "CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY HASH (id)",
        "CREATE TABLE p1a PARTITION OF p1 FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "INSERT INTO p SELECT gen_random_uuid() FROM generate_series(1, 20000)",
        "INSERT INTO p SELECT 'x' || g FROM generate_series(1, 9) AS g",
        "CREATE SCHEMA replank_past",
        "CREATE TABLE replank_past.p1a ()",
    )
    report = database.check({"p": ["id"]})
    assert sorted(codes(report.blockers)) == ["name_taken", "not_convertible"]
    assert only(report.blockers, "not_convertible").details["count"] == 9
    assert only(report.blockers, "name_taken").details["object"] == "replank_past.p1a"
    assert report.rows == 20_009


def test_a_partition_alone_is_refused(database: Database) -> None:
    database.run(
        "CREATE TABLE p (id text PRIMARY KEY) PARTITION BY HASH (id)",
        "CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
    )
    found = only(database.check({"p0": ["id"]}).blockers, "partition")
    assert found.hint == "Name the partitioned table in the plan instead."


def test_bounds_that_are_no_uuids_are_refused(database: Database) -> None:
    database.run(
        "CREATE TABLE p (id text PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE p0 PARTITION OF p FOR VALUES FROM (MINVALUE) TO ('8')",
    )
    found = only(database.check({"p": ["id"]}).blockers, "trial_failed")
    assert "invalid input syntax for type uuid" in found.message


def test_names_that_are_taken_are_refused(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY)",
        "CREATE SCHEMA replank_past",
        "CREATE TABLE replank_past.t (id text)",
        "CREATE TABLE replank_past.other (id text CONSTRAINT t_pkey PRIMARY KEY)",
    )
    found = [f for f in database.check({"t": ["id"]}).blockers if f.code == "name_taken"]
    assert {f.details["object"] for f in found} == {"replank_past.t", "replank_past.t_pkey"}


def test_an_open_run_is_told_and_its_own_names_are_no_fault(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY)", "CREATE SCHEMA replank_next", "CREATE TABLE replank_next.t (id uuid)"
    )
    file = database.plan({"t": ["id"]})
    with connect(database.url, name="test") as connection:
        ensure_ledger(connection)
        run_id = runs.create_run(connection, file.plan, hold_cutover=False)
    report = database.check({"t": ["id"]})
    assert only(report.warnings, "run_open").details["run_id"] == run_id
    assert "this plan" in only(report.warnings, "run_open").message
    assert report.blockers == ()


def test_the_trial_finds_what_cannot_be_built_with_the_new_type(database: Database) -> None:
    # Given a check, an expression index and a generated column that are about text
    database.run(
        "CREATE TABLE checked (id text PRIMARY KEY CHECK (id LIKE '%-%'))",
        "CREATE TABLE indexed (id text PRIMARY KEY, a text)",
        "CREATE INDEX indexed_lower ON indexed (lower(a))",
        "CREATE INDEX indexed_pattern ON indexed (a text_pattern_ops)",
        "CREATE TABLE made (id text PRIMARY KEY, short text GENERATED ALWAYS AS (left(id, 8)) STORED)",
        "CREATE TABLE fine (id text PRIMARY KEY, a text)",
        "CREATE INDEX fine_a ON fine (a, id DESC NULLS LAST) INCLUDE (a) WHERE a IS NOT NULL",
    )
    report = database.check({"checked": ["id"], "indexed": ["id", "a"], "made": ["id"], "fine": ["id", "a"]})
    failed = [(f.table, f.details["object"]) for f in report.blockers if f.code == "trial_failed"]
    assert failed == [
        ("public.checked", "constraint checked_id_check of public.checked"),
        ("public.indexed", "index indexed_lower"),
        ("public.made", "generated column short of public.made"),
    ]
    assert [one["index"] for one in only(report.blockers, "pattern_indexes").details["indexes"]] == ["indexed_pattern"]
    # And nothing is left of the trial
    assert database.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replank%'") == []


def test_a_default_that_is_no_uuid_blocks_and_sequences_are_not_used_up(database: Database) -> None:
    database.run(
        "CREATE SEQUENCE numbers",
        "CREATE TABLE t (id text PRIMARY KEY DEFAULT gen_random_uuid()::text, a text DEFAULT 'none',"
        " b text DEFAULT 'x' || nextval('numbers'), c text DEFAULT NULL)",
    )
    report = database.check({"t": ["id", "a", "b", "c"]})
    assert only(report.blockers, "default_not_convertible").column == "a"
    assert database.rows("SELECT is_called FROM numbers") == [(False,)]


def test_a_table_locked_by_somebody_does_not_hold_the_trial(database: Database) -> None:
    database.run("CREATE TABLE t (id text PRIMARY KEY)")
    with psycopg.connect(database.url) as holder:
        holder.execute("LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE")
        assert database.check({"t": ["id"]}).blockers == ()


def test_unknown_tables_and_columns_are_wrong_use_with_their_lines(database: Database) -> None:
    database.run("CREATE TABLE t (id text PRIMARY KEY, n integer)")
    with pytest.raises(WrongUse) as caught:
        database.check({"t": ["id", "absent", "n"], "gone": ["id"]})
    said = str(caught.value)
    assert "plan.toml:7: table public.t has no column absent" in said
    assert "plan.toml:7: public.t.n is integer" in said
    assert "plan.toml:10: table public.gone does not exist" in said
