"""Quarantined rows, on the page: shown, written to a file, corrected by clicking, and back in the new table."""

import csv
import io
import json
from collections.abc import Iterator

import psycopg
import pytest
from playwright.sync_api import Browser, expect
from support.oracles.oracle import count, live, one, past
from support.oracles.quarantine_oracle import Kind, Kinds
from support.runs.harness import Rebuild, eventually

from page.conftest import Serve
from page.looking import Looking, too_wide
from page.serving import ALICE, Served
from producer.page.actions import page_actions
from replank.settings import load_settings

EVIL = 'person <img src=x onerror="document.title=1">'
GOOD = "0fd00f6b-0000-4000-8000-000000000001"
KINDS: Kinds = {
    "people": Kind(key=["id"], texts=["id"]),
    "letter": Kind(key=["n"], texts=["to"], leads=[(["to"], "people", ["id"])]),
}


@pytest.fixture
def app(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE people (id text PRIMARY KEY, name text)")
        connection.execute('CREATE TABLE letter (n int PRIMARY KEY, "to" text NOT NULL REFERENCES people)')
        connection.execute("INSERT INTO people SELECT gen_random_uuid(), 'n' FROM generate_series(1, 20)")
        connection.execute("INSERT INTO people VALUES (%s, 'Eve'), ('person 2', 'Bob')", [EVIL])
        connection.execute("INSERT INTO letter SELECT row_number() OVER (), id FROM people")
        yield connection


@pytest.fixture
def ready(app: psycopg.Connection, database: str) -> Iterator[Rebuild]:
    """A run before its cutover, with two people and their letters quarantined."""
    assert count(app, live("letter")) == 22
    rebuild = Rebuild.begin(database, [kind.planned(name) for name, kind in KINDS.items()], {})
    rebuild.ready()
    yield rebuild
    rebuild.close()


@pytest.fixture
def served(ready: Rebuild, database: str, serve: Serve) -> Served:
    assert ready.run.run_id == 1
    settings = load_settings(database_url=database, broker_url="redis://127.0.0.1:1/0")
    return serve(database, actions=page_actions(settings, database="page"))


def test_rows_are_told_and_written_as_the_command_writes_them(served: Served) -> None:
    tables = {table["name"]: table["quarantined"] for table in served.sections()["tables"]}
    assert tables == {"public.people": 2, "public.letter": 2}
    told = served.ask("/run/quarantine?table=public.people").document
    assert told["total"] == 2
    assert {row["value"] for row in told["rows"]} == {EVIL, "person 2"}
    assert {row["reason"] for row in told["rows"]} == {"the text is no uuid"}
    assert served.ask("/run/quarantine?table=public.nothing").document == {"rows": [], "total": 0}

    file = served.ask("/run/quarantine.csv")
    assert file.headers["content-disposition"] == 'attachment; filename="quarantine.csv"'
    lines = list(csv.DictReader(io.StringIO(file.body, newline="")))
    assert [line["table"] for line in lines] == ["public.people"] * 2 + ["public.letter"] * 2
    assert {json.loads(line["row"])["id"] for line in lines[:2]} == {EVIL, "person 2"}
    for path in ("/run/quarantine?table=public.people", "/run/quarantine.csv"):
        assert served.ask(path, login=None).status == 401


def test_a_value_is_corrected_by_clicking(
    app: psycopg.Connection,
    ready: Rebuild,
    served: Served,
    browser: Browser | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if browser is None:
        with capsys.disabled():
            print("\nNO BROWSER: corrections were not clicked. Install Chromium, or name one in REPLANK_CHROMIUM.")
        return
    looking = Looking(browser=browser, root=f"http://127.0.0.1:{served.port}", login=("alice", ALICE.split(":")[1]))
    page = looking.open("/run", width=390, height=844)
    quarantined = page.locator("#quarantine article").filter(has_text="public.people · 2 rows quarantined")
    quarantined.get_by_role("button", name="Show and correct").click()
    rows = page.locator("#chunks-list article")
    expect(rows).to_have_count(2)
    evil = rows.filter(has_text="onerror")
    # A value that does not convert either is refused, with the reason beside it, and nothing is changed
    evil.locator("input").fill("still no uuid")
    evil.get_by_role("button", name="Correct").click()
    expect(evil.locator(".told")).to_contain_text("does not convert either")
    assert one(app, f"SELECT count(*) FROM people WHERE id = '{EVIL}'") == 1  # noqa: S608
    looking.keep(page, "7-quarantine-phone", whole=False)
    # The right one goes into the live table
    evil.locator("input").fill(GOOD)
    evil.get_by_role("button", name="Correct").click()
    told = "values corrected in the live tables: 2 (public.letter 1: rows that refer to it)"
    expect(evil.locator(".told.good")).to_contain_text(told)
    assert too_wide(page) == 0
    assert page.title() != "1"
    assert one(app, f"SELECT name FROM people WHERE id = '{GOOD}'") == "Eve"  # noqa: S608
    page.get_by_role("button", name="Close").click()

    # The next drain brings it back with its letter, and the page says so by itself
    def came_back() -> bool:
        ready.turn()
        ready.pass_time()
        ready.work()
        return one(app, "SELECT sum(rows)::int FROM replank.quarantine") == 2

    eventually(came_back, "the row and its letter")
    left = page.locator("#quarantine article").filter(has_text="public.people · 1 row quarantined")
    expect(left).to_be_visible(timeout=20_000)
    looking.keep(page, "7-quarantine")
    said = app.execute(
        "SELECT actor, message FROM replank.event WHERE kind = 'quarantine' AND actor = 'alice'"
    ).fetchall()
    assert [actor for actor, _ in said] == ["alice"]
    assert "through the page" in said[0][1]
    ready.finish()
    assert count(app, live("letter")) == 21
    assert one(app, f"SELECT p.name FROM letter l JOIN people p ON p.id = l.\"to\" WHERE p.id = '{GOOD}'") == "Eve"  # noqa: S608
    assert count(app, past("letter")) == 22
    # From now on nothing can be corrected here, and the page does not offer it
    page.locator("#quarantine article").filter(has_text="public.people").get_by_role(
        "button", name="Show", exact=True
    ).click()
    expect(rows).to_have_count(1)
    expect(rows.locator("input")).to_have_count(0)
    late = served.act("fix", run=1, table="public.people", key=["person 2"], column="id", value=GOOD)
    assert late.status == 409
    # The browser complains of the refusal, and of nothing else
    assert [said for said in looking.said if "409" not in said] == []
