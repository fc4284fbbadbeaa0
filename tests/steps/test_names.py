"""Scripts over tables whose columns are called as the scripts call their own things."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Composable, Identifier
from support.schemas.names import KEYS, OTHERS

from demo.embedded import EmbeddedPostgres
from producer.scripts.run_script import ScriptRunner
from steps.conftest import Compile
from steps.dumps import dump, psql
from steps.hand_shop import compile_by_hand, name_of, plan_of, written

pytestmark = pytest.mark.catalogue

OF_SCRIPTS = (
    "filled",
    "of_round",
    "first_block",
    "blocks",
    "p",
    "r",
    "c",
    "o",
    "before",
    "after",
    "key_columns",
    "action",
)
CONVERTED = ("new", "k1", "found", "user", "per%cent")
COLUMNS = (*KEYS, *OTHERS, *OF_SCRIPTS)


def _listed(names: tuple[str, ...], after: str = "") -> Composable:
    return SQL(", ").join(Identifier(name) + SQL(after) for name in names)


@pytest.fixture
def odd(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database with such a table, and one whose rows are noted."""
    url = postgres.create_database("names_of_theirs")
    values = SQL(", ").join(SQL("gen_random_uuid()::text" if name in CONVERTED else "g::text") for name in COLUMNS)
    with psycopg.connect(url, autocommit=True) as app:
        app.execute(SQL("CREATE TABLE odd ({}, PRIMARY KEY ({}))").format(_listed(COLUMNS, " text"), _listed(KEYS)))
        app.execute(SQL("INSERT INTO odd SELECT {} FROM generate_series(1, 50) AS g").format(values))
        app.execute("CREATE TABLE log (w text PRIMARY KEY, k1 int)")
        app.execute("INSERT INTO log SELECT g::text, g FROM generate_series(1, 90) AS g")
    yield url
    postgres.drop_database("names_of_theirs")


PLANNED: dict[str, Any] = {
    "odd": {
        "columns": [{"name": name, "to": "uuid"} for name in CONVERTED],
        "join": [{"name": "log", "query": "SELECT w, k1 AS number FROM public.log", "on": "log.w = live.n"}],
        "add": [{"name": "added", "type": "text", "value": "tg_op || truncated || replank_lower || log.number"}],
    }
}
IN_PLACE: dict[str, Any] = {
    "odd": {
        "method": "backfill",
        "add": [{"name": "added", "type": "text", "value": "tg_op || found || replank_lower"}],
    }
}


@pytest.mark.parametrize("planned", [PLANNED, IN_PLACE], ids=["rebuilt", "in place"])
def test_the_pass_by_psql_and_back(odd: str, tmp_path: Path, planned: dict[str, Any]) -> None:
    before = dump(odd)
    files = written(compile_by_hand(odd, plan_of(name_of(odd), planned)), tmp_path)
    for file in files[:3]:
        psql(odd, file)
    with psycopg.connect(odd) as app:
        found = app.execute("SELECT count(*), count(DISTINCT added) FROM odd").fetchone()
    assert found == (50, 50)
    for file in files[3:]:
        psql(odd, file)
    assert dump(odd) == before


def _called(app: psycopg.Connection, name: str) -> None:
    app.execute(
        SQL("CREATE TABLE {} ({}, PRIMARY KEY (t, tg_table_name))").format(
            Identifier(name), _listed((*COLUMNS, "tg_table_schema"), " text")
        )
    )


def test_audit_entries_hold_the_whole_row(app: psycopg.Connection, compiled: Compile, runner: ScriptRunner) -> None:
    """A column called as the alias would be taken for the row."""
    _called(app, "t")
    runner.run(compiled(3, audit_log={"keep": "2 months", "tables": ["t"]}).forward)
    app.execute("INSERT INTO t (t, tg_table_name, who, \"row\") VALUES ('1', 'a', 'x', 'y')")
    app.execute("UPDATE t SET who = 'z'")
    app.execute("DELETE FROM t")
    found = app.execute(
        "SELECT table_name, action, row_key, old_row ->> 'who', new_row ->> 'who', actor FROM audit.audit_log"
        " ORDER BY id"
    ).fetchall()
    key = {"t": "1", "tg_table_name": "a"}
    assert found == [
        ("t", "insert", key, None, "x", None),
        ("t", "update", key, "x", "z", None),
        ("t", "delete", key, "z", None, None),
    ]


def test_a_source_of_permissions(app: psycopg.Connection, compiled: Compile, runner: ScriptRunner) -> None:
    _called(app, "r")
    query = "SELECT t AS user_id, r AS tenant_id, '[]'::jsonb AS permissions, '[]'::jsonb AS roles FROM public.r"
    sources = [{"table": "r", "user": "tg_table_name"}]
    runner.run(compiled(4, permission_cache={"query": query, "sources": sources}).forward)
    app.execute("INSERT INTO r (t, tg_table_name, r) VALUES ('1', 'a', 'x'), ('2', 'b', 'x')")
    app.execute("UPDATE r SET tg_table_name = 'c' WHERE t = '1'")
    app.execute("DELETE FROM r")
    found = app.execute("SELECT user_id, reason FROM permission.invalidation ORDER BY id").fetchall()
    assert sorted(found) == [("a", "r"), ("a", "r"), ("b", "r"), ("b", "r"), ("c", "r"), ("c", "r")]


def test_a_uuid_field_is_filled(app: psycopg.Connection, compiled: Compile, runner: ScriptRunner) -> None:
    _called(app, "blocks")
    app.execute("INSERT INTO blocks (t, tg_table_name) SELECT g, g FROM generate_series(1, 500) AS g")
    step = compiled(1, uuid_fields={"tables": ["blocks"]})
    runner.run(step.forward)
    assert app.execute("SELECT count(DISTINCT uuid) FROM blocks").fetchone() == (500,)
    runner.run(step.back)


def test_a_name_does_not_end_a_comment(
    app: psycopg.Connection, compiled: Compile, tmp_path: Path, database: str
) -> None:
    """A carriage return does, and what follows it would be executed with the rights of who runs the script."""
    name = "t\rCREATE SCHEMA injected;--"
    _called(app, name)
    script = compiled(3, audit_log={"keep": "2 months", "tables": [name]}).forward
    file = tmp_path / script.file_name
    file.write_text(script.text, newline="")
    psql(database, file)
    assert app.execute("SELECT to_regnamespace('injected')").fetchone() == (None,)
    app.execute(SQL("INSERT INTO {} (t, tg_table_name) VALUES ('1', 'a')").format(Identifier(name)))
    assert app.execute("SELECT table_name FROM audit.audit_log").fetchall() == [(name,)]
