"""What the catalogue and the trial refuse."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from producer.audit.catalogue import audit_catalogue
from producer.audit.findings import audited
from producer.resolution import resolve
from replank.errors import WrongUse
from sql import catalogue
from sql.connection import connect
from sql.ledger import runs

from .conftest import Database, codes, only

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


def test_gotcha_27_before_18_a_key_from_a_partitioned_table_is_refused(database: Database) -> None:
    # Given a partitioned table outside the plan that refers to one inside
    database.run(
        "CREATE TABLE p (id text PRIMARY KEY, n int UNIQUE)",
        "CREATE TABLE part (k int, n int REFERENCES p (n)) PARTITION BY RANGE (k)",
    )
    plan = database.plan({"p": ["id"]})
    with connect(database.url, name="check") as connection:
        subject = audited(connection, plan, catalogue.read_server(connection), resolve(connection, plan))
        for version, expected in ((170_004, ["foreign_key_partitioned"]), (180_001, [])):
            server = replace(subject.server, version=version)
            assert codes(audit_catalogue(connection, replace(subject, server=server))) == expected


def test_gotcha_29_an_index_left_invalid_is_reported(database: Database) -> None:
    # Given a CREATE INDEX CONCURRENTLY that failed
    database.run("CREATE TABLE t (id text PRIMARY KEY, a text)", "INSERT INTO t VALUES ('1', 'x'), ('2', 'x')")
    with psycopg.connect(database.url, autocommit=True) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a)")
    database.run("TRUNCATE t; INSERT INTO t VALUES ('$ID')")
    report = database.check({"t": ["id"]})
    assert only(report.warnings, "invalid_index").details["index"] == "public.t_a"
    assert report.blockers == ()


def test_gotcha_31_a_schema_whose_name_leaves_no_room_is_refused(database: Database) -> None:
    long = "s" * 55
    database.run(f'CREATE SCHEMA "{"s" * 55}"', f'CREATE TABLE "{"s" * 55}".t (id text PRIMARY KEY)')
    report = database.check({f"{long}.t": ["id"]})
    assert "replank_next_" + long in report.blockers[0].message
    assert set(codes(report.blockers)) == {"name_too_long"}


def test_a_table_with_no_key_is_refused_and_its_values_are_read_all_the_same(database: Database) -> None:
    database.run("CREATE TABLE t (id text)", "INSERT INTO t VALUES ('word')")
    report = database.check({"t": ["id"]})
    assert sorted(codes(report.blockers)) == ["no_key", "not_convertible"]


def test_objects_that_would_be_lost_are_refused_each(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY, a text)",
        "CREATE VIEW v AS SELECT id FROM t",
        "CREATE STATISTICS st ON id, a FROM t",
        "CREATE PUBLICATION pub FOR TABLE t",
        "CREATE POLICY pol ON t USING (true)",
    )
    refused = [f for f in database.check({"t": ["id"]}).blockers if f.code == "not_carried"]
    assert {f.details["kind"] for f in refused} == {
        "view or rule",
        "extended statistics",
        "publication",
        "row security policy",
    }
    assert all(f.table == "public.t" and f.hint for f in refused)


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
        runs.ensure_ledger(connection)
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
        ("public.checked", "the next table"),
        ("public.indexed", "index indexed_lower"),
        ("public.indexed", "index indexed_pattern"),
        ("public.made", "the next table"),
    ]
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
