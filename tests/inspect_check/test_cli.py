"""The real command line: results, exit codes, and wrong input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.datasets.market import uuid_columns
from demo.embedded import EmbeddedPostgres
from inspect_check.conftest import Database, replank
from replank.plan.plan import load_plan

pytestmark = pytest.mark.cli


def test_inspect_then_check(shop: Database, tmp_path: Path) -> None:
    # When a plan is asked for
    done = replank("inspect", shop.url, "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    # Then it is in plan.toml, and the last line of the output says what is in it
    plan = load_plan(tmp_path / "plan.toml")
    told = json.loads(done.stdout.splitlines()[-1])
    assert {(t["schema"], t["name"]) for t in told["tables"]} == set(uuid_columns())
    assert len(plan.tables) == len(told["tables"])
    assert told["left_alone"]
    assert told["sets"][0]["set"] == 1
    # And a second one does not overwrite it unless told so
    again = replank("inspect", "--sample", "10", url=shop.url, folder=tmp_path)
    assert again.returncode == 2
    assert "plan.toml already exists" in again.stderr
    assert replank("inspect", "--force", url=shop.url, folder=tmp_path).returncode == 0
    # And the check passes
    checked = replank("check", "plan.toml", "--json", url=shop.url, folder=tmp_path)
    assert checked.returncode == 0, checked.stderr
    report = json.loads(checked.stdout.splitlines()[-1])
    assert report["blockers"] == []
    assert {"code", "table", "column", "message", "hint"} <= report["warnings"][0].keys()
    assert "No blocker" in checked.stderr


def test_a_plan_on_standard_output(shop: Database, tmp_path: Path) -> None:
    done = replank("inspect", "--out", "-", url=shop.url, folder=tmp_path)
    (tmp_path / "copied.toml").write_text(done.stdout)
    assert load_plan(tmp_path / "copied.toml").database.name == "shop"
    assert list(tmp_path.iterdir()) == [tmp_path / "copied.toml"]


def test_blockers_are_said_and_make_the_exit_code(database: Database, tmp_path: Path) -> None:
    database.run("CREATE TABLE t (id text)", "INSERT INTO t VALUES ('word [red]')")
    (tmp_path / "plan.toml").write_text(database.plan_text({"t": ["id"]}))
    done = replank("check", "plan.toml", "--json", url=database.url, folder=tmp_path)
    assert done.returncode == 1
    assert {b["code"] for b in json.loads(done.stdout.splitlines()[-1])["blockers"]} == {"no_key", "not_convertible"}
    assert "blocker not_convertible public.t.id: 1 value is not a uuid, such as 'word [red]'" in done.stderr


def test_nothing_to_propose_is_said(database: Database, tmp_path: Path) -> None:
    database.run("CREATE TABLE t (id integer PRIMARY KEY, name text)")
    done = replank("inspect", "--json", url=database.url, folder=tmp_path)
    assert done.returncode == 1
    assert "No column that could become uuid was found" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["tables"] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["inspect", "check"])
def test_wrong_urls_are_wrong_use_and_the_password_is_never_printed(
    postgres: EmbeddedPostgres, shop: Database, tmp_path: Path, command: str
) -> None:
    (tmp_path / "given.toml").write_text(shop.plan_text({"tenants": ["id"]}))
    arguments = ["check", "given.toml"] if command == "check" else ["inspect"]
    absent = replank(*arguments, url=postgres.url("no_such_database"), folder=tmp_path)
    assert absent.returncode == 2
    assert 'database "no_such_database" does not exist' in absent.stderr
    refused = replank(*arguments, url=shop.url.replace(postgres.password, "wr0ng-secret"), folder=tmp_path)
    assert refused.returncode == 2
    assert "password authentication failed" in refused.stderr
    unnamed = replank(*arguments, folder=tmp_path)
    assert unnamed.returncode == 2
    assert "REPLANK_DATABASE_URL" in unnamed.stderr
    for done in (absent, refused, unnamed):
        assert postgres.password not in done.stdout + done.stderr
        assert "wr0ng-secret" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_plans_that_do_not_fit_name_their_lines(shop: Database, tmp_path: Path) -> None:
    def check(text: str) -> str:
        (tmp_path / "plan.toml").write_text(text)
        done = replank("check", "plan.toml", url=shop.url, folder=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    good = shop.plan_text({"tenants": ["id"], "Order": ["id"]})
    # Unknown tables and columns are said together, each with its line
    said = check(good.replace('"tenants"', '"nowhere"').replace('"id"', '"ident"'))
    assert "plan.toml:6: table public.nowhere does not exist" in said
    assert "plan.toml:11: table public.Order has no column ident" in said
    # An unknown key, a plan for another database, and for another server
    assert "plan.toml:12: table Order, axes: unknown key" in check(good + 'axes = "heap"\n')
    assert "plan.toml:3: this plan is for database other" in check(good.replace('"shop"', '"other"'))
    elsewhere = check(good.replace('name = "shop"', 'name = "shop"\nsystem_identifier = "1"'))
    assert "plan.toml:4: this plan was made on another server" in elsewhere
