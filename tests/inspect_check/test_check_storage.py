"""Tables that are no heaps of this server are refused by name, in every command.

Citus and TimescaleDB cannot be had here: their catalogues are made as they make them, under their extensions' names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import psycopg
import pytest
from pydantic import SecretStr

from inspect_check.conftest import Database, codes, only, reasons
from producer.rehearsal.rehearsal import Rehearsal, RehearsalOptions
from producer.starting.begin import begin_or_resume
from producer.starting.compile_all import compile_all
from replank.errors import NeedsOperator, WrongUse
from replank.settings import Settings
from sql.ledger.runs.runs import Run
from sql.session.connection import connect

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


@pytest.mark.contrib
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


@pytest.mark.contrib
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


def _citus(database: Database) -> str:
    pretend(
        database,
        "citus",
        "CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod char)",
        "INSERT INTO pg_catalog.pg_dist_partition VALUES ('t', 'h')",
    )
    return "public.t.*Citus"


def _timescale(database: Database) -> str:
    pretend(
        database,
        "timescaledb",
        "CREATE SCHEMA _timescaledb_catalog",
        "CREATE TABLE _timescaledb_catalog.hypertable (id int, schema_name name, table_name name)",
        "INSERT INTO _timescaledb_catalog.hypertable VALUES (1, 'public', 't')",
    )
    return "public.t.*hypertable"


def _columnar(database: Database) -> str:
    database.run(
        "CREATE ACCESS METHOD columnar TYPE TABLE HANDLER heap_tableam_handler",
        "DROP TABLE t",
        "CREATE TABLE t (id text PRIMARY KEY) USING columnar",
        "INSERT INTO t SELECT gen_random_uuid() FROM generate_series(1, 30)",
    )
    return "public.t.*columnar"


@pytest.mark.parametrize("store", [_citus, _timescale, _columnar])
def test_every_command_refuses_them_by_name(database: Database, store: Callable[[Database], str]) -> None:
    # Given a table full of uuids that somebody else stores
    database.run("CREATE TABLE t (id text PRIMARY KEY)")
    database.run("INSERT INTO t SELECT gen_random_uuid() FROM generate_series(1, 30)")
    said = store(database)
    # Then `inspect` leaves it alone, with the reason
    proposal = database.inspect()
    assert proposal.tables == ()
    assert re.search(said, f"public.t {reasons(proposal)['public.t.id']}")
    # And `run`, `compile` and `rehearse` refuse it before they change anything
    file = database.plan({"t": ["id"]})
    with connect(database.url, name="test") as connection:
        with pytest.raises(NeedsOperator, match=said):
            begin_or_resume(connection, file, hold_cutover=True)
        with pytest.raises(NeedsOperator, match=said):
            compile_all(connection, file)
    settings = Settings(database_url=SecretStr(database.url), broker_url=SecretStr("redis://127.0.0.1:1"))
    rehearsal = Rehearsal(
        file=file,
        settings=settings,
        options=RehearsalOptions(server=database.url, by="me"),
        forward=_never,
        say=lambda _: None,
    )
    with pytest.raises(NeedsOperator, match=said):
        rehearsal.rehearse()
    assert database.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replank%'") == []


def test_other_kinds_are_named_by_every_command(database: Database) -> None:
    database.run("CREATE VIEW v AS SELECT 'a'::text AS id")
    file = database.plan({"v": ["id"]})
    with connect(database.url, name="test") as connection:
        for command in (partial(begin_or_resume, hold_cutover=True), compile_all):
            with pytest.raises(WrongUse, match="is a view"):
                command(connection, file)
    assert database.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replank%'") == []


def _never(*_: object) -> Run:
    raise AssertionError("nothing may be run")
