"""What an operator sees of quarantine: `status`, `quarantine list` and `quarantine export`."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path

import psycopg
import pytest
from rich.console import Console
from support.oracles.oracle import one
from support.oracles.quarantine_oracle import Kind, Kinds
from support.runs.forking import run_command
from support.runs.harness import Rebuild, Url

from monitoring.status.read_status import read_status
from monitoring.terminal.screen import render
from protocol.quarantine.test_quarantine import Begin, plan

pytestmark = pytest.mark.protocol

KINDS: Kinds = {
    "people": Kind(key=["id"], texts=["id"]),
    "letter": Kind(key=["id", "n"], texts=["to"], leads=[(["to"], "people", ["id"])]),
}


@pytest.fixture
def letters(app: psycopg.Connection) -> None:
    app.execute("CREATE TABLE people (id text PRIMARY KEY, born date, tags text[])")
    app.execute('CREATE TABLE letter (id int, n int, "to" text REFERENCES people, PRIMARY KEY (id, n))')
    app.execute(
        "INSERT INTO people VALUES ('a, \"b\"\n[bold]c', '2001-02-03', '{x,y}'), (gen_random_uuid(), NULL, NULL)"
    )
    app.execute("INSERT INTO letter SELECT row_number() OVER (), 7, id FROM people")


def _call(url: Url, *arguments: str, exit_code: int = 0, named: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": ""} | ({"REPLANK_DATABASE_URL": url} if named else {})
    done = run_command("quarantine", *arguments, environment=environment)
    assert done.returncode == exit_code, done.stderr
    return done


@pytest.mark.usefixtures("letters")
def test_list_and_export(app: psycopg.Connection, database: Url, begin: Begin, tmp_path: Path) -> None:
    plan(KINDS, begin).finish()
    said = json.loads(_call(database, "list", "--json").stdout.splitlines()[-1])
    assert said["tables"] == {"public.people": 1, "public.letter": 1}
    person, letter = said["rows"]
    name = 'a, "b"\n[bold]c'
    assert {name: value for name, value in person.items() if name != "since"} == {
        "table": "public.people",
        "key": [name],
        "column": "id",
        "value": name,
        "reason": "the text is no uuid",
        "row": {"id": name, "born": "2001-02-03", "tags": ["x", "y"]},
    }
    assert (letter["key"][1], letter["column"], letter["row"]["to"]) == ("7", "to", name)
    # The same, named by its URL, for people
    shown = _call(database, "list", database, named=False)
    assert shown.stdout == ""
    assert "public.letter: 1 row" in shown.stderr
    # And as a file that gives everything back
    file = tmp_path / "aside.csv"
    _call(database, "export", "--out", str(file))
    with file.open(encoding="utf-8", newline="") as lines:
        exported = list(csv.DictReader(lines))
    assert [json.loads(line["row"]) for line in exported] == [person["row"], letter["row"]]
    assert [json.loads(line["key"]) for line in exported] == [person["key"], letter["key"]]
    assert one(app, "SELECT count(*) FROM replank.event WHERE kind = 'quarantine'") == 2


@pytest.mark.usefixtures("letters")
def test_the_plan_names_the_run(app: psycopg.Connection, database: Url, begin: Begin, tmp_path: Path) -> None:
    rebuild = plan(KINDS, begin)
    rebuild.ready()
    file = tmp_path / "plan.toml"
    header = f'[database]\nname = "{app.info.dbname}"\n'
    own = "".join(
        f'[[tables]]\nname = "{name}"\ncolumns = [{{name = "{column}", to = "uuid", on_invalid = "quarantine"}}]\n'
        for name, column in (("people", "id"), ("letter", "to"))
    )
    file.write_text(header + own)
    assert "public.people: 1 row" in _call(database, "list", str(file)).stderr
    file.write_text(header + own.replace('"quarantine"', '"fail"'))
    assert "one of another plan" in _call(database, "list", str(file), exit_code=2).stderr


def test_nothing_kept_aside(app: psycopg.Connection, database: Url, begin: Begin) -> None:
    app.execute("CREATE TABLE people (id text PRIMARY KEY); INSERT INTO people VALUES (gen_random_uuid())")
    assert "no run" in _call(database, "list", exit_code=2).stderr
    plan({"people": KINDS["people"]}, begin).finish()
    assert "No row is quarantined." in _call(database, "list").stderr
    assert json.loads(_call(database, "list", "--json").stdout)["rows"] == []


@pytest.mark.usefixtures("letters")
def test_status_counts_them(begin: Begin) -> None:
    rebuild: Rebuild = plan(KINDS, begin)
    assert [t["rows_quarantined"] for t in read_status(rebuild.connection).to_json()["tables"]] == [0, 0]
    rebuild.finish()
    status = read_status(rebuild.connection)
    assert [t["rows_quarantined"] for t in status.to_json()["tables"]] == [1, 1]
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render(status))
    assert "public.letter: 1 row is quarantined" in console.export_text()
