"""Tables that are no heaps of this server are refused by name, in `check` and in `run`.

Citus and TimescaleDB cannot be had here: their catalogues are made as they make them, under their extensions' names.
"""

from __future__ import annotations

import psycopg
import pytest

from replank.errors import WrongUse

from .conftest import Database, codes, only

pytestmark = pytest.mark.catalogue

PRETEND = "INSERT INTO pg_extension SELECT 70001, %s, 10, 11, false, '1.0', NULL, NULL"


def pretend(database: Database, extension: str, *statements: str) -> None:
    """The rows and relations by which an extension is known."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("SET allow_system_table_mods = on")
        for statement in statements:
            connection.execute(statement.encode())
        connection.execute(PRETEND, [extension])


def test_a_distributed_table_of_citus_is_refused_by_name(database: Database) -> None:
    database.run("CREATE TABLE t (id text PRIMARY KEY)", "CREATE TABLE plain (id text PRIMARY KEY)")
    pretend(
        database,
        "citus",
        "CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod char)",
        "INSERT INTO pg_catalog.pg_dist_partition VALUES ('t', 'h')",
    )
    report = database.check({"t": ["id"], "plain": ["id"]})
    assert codes(report.blockers) == ["not_a_heap"]
    found = only(report.blockers, "not_a_heap")
    assert (found.table, "Citus" in found.message, "undistribute_table" in found.hint) == ("public.t", True, True)


def test_a_hypertable_of_timescale_is_refused_by_name(database: Database) -> None:
    database.run("CREATE TABLE t (id text PRIMARY KEY)")
    pretend(
        database,
        "timescaledb",
        "CREATE SCHEMA _timescaledb_catalog",
        "CREATE TABLE _timescaledb_catalog.hypertable (id int, schema_name name, table_name name)",
        "INSERT INTO _timescaledb_catalog.hypertable VALUES (1, 'public', 't')",
    )
    found = only(database.check({"t": ["id"]}).blockers, "not_a_heap")
    assert "hypertable (TimescaleDB)" in found.message


def test_another_table_access_method_is_refused_by_name(database: Database) -> None:
    database.run("CREATE ACCESS METHOD columnar TYPE TABLE HANDLER heap_tableam_handler")
    database.run("CREATE TABLE t (id text PRIMARY KEY) USING columnar")
    found = only(database.check({"t": ["id"]}).blockers, "not_a_heap")
    assert "columnar" in found.message
    assert "SET ACCESS METHOD heap" in found.hint


def test_what_is_no_table_is_called_what_it_is(database: Database) -> None:
    database.run(
        "CREATE VIEW v AS SELECT 'a'::text AS id",
        "CREATE MATERIALIZED VIEW m AS SELECT 'a'::text AS id",
        "CREATE EXTENSION postgres_fdw",
        "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw",
        "CREATE FOREIGN TABLE f (id text) SERVER far",
    )
    for name, kind in (
        ("v", "a view"),
        ("m", "a materialized view"),
        ("f", "a foreign table"),
        ("x", "does not exist"),
    ):
        with pytest.raises(WrongUse, match=kind):
            database.check({name: ["id"]})


def test_a_partition_on_another_server_is_refused_by_name(database: Database) -> None:
    database.run(
        "CREATE EXTENSION postgres_fdw",
        "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw",
        "CREATE TABLE t (id text, at date) PARTITION BY RANGE (at)",
        "CREATE TABLE t_1 PARTITION OF t (PRIMARY KEY (id, at)) FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "CREATE FOREIGN TABLE t_2 PARTITION OF t FOR VALUES FROM ('2027-01-01') TO ('2028-01-01') SERVER far",
    )
    report = database.check({"t": ["id"]})
    assert any("its rows are on another server" in blocker.message for blocker in report.blockers)
