"""A rollback that is begun on the page: asked for with the database's name, and done as the command does it."""

from __future__ import annotations

import psycopg
import pytest
from playwright.sync_api import Browser, expect
from support.oracles.oracle import one
from support.runs.harness import Rebuild, table
from support.runs.waiting import wait_for

from page.conftest import Serve
from page.looking import Looking, headline
from page.serving import ALICE, Served
from producer.page.actions import QUESTIONS, page_actions
from replank.settings import load_settings


@pytest.fixture
def done(database: str) -> Rebuild:
    """A run that is done, and one write since."""
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE parent (id text PRIMARY KEY, n int)")
        app.execute("INSERT INTO parent SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
        rebuild = Rebuild.begin(database, [table("parent", "id")], {})
        rebuild.finish()
        rebuild.close()
        app.execute("INSERT INTO parent VALUES (gen_random_uuid(), 51)")
    return rebuild


@pytest.fixture
def served(done: Rebuild, database: str, serve: Serve) -> Served:
    assert done.run_id == 1
    settings = load_settings(database_url=database, broker_url="redis://127.0.0.1:1/0")
    return serve(database, actions=page_actions(settings, database="page"), questions=QUESTIONS)


def test_it_is_asked_for_with_the_name_and_done(
    served: Served, database: str, browser: Browser | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if browser is None:
        with capsys.disabled():
            print("\nNO BROWSER: the rollback was not clicked. Install Chromium, or name one in REPLANK_CHROMIUM.")
        return
    name = database.rpartition("/")[2].partition("?")[0]
    looking = Looking(browser=browser, root=f"http://127.0.0.1:{served.port}", login=("alice", ALICE.split(":")[1]))
    page = looking.open("/run")
    headline(page, "Done: the new tables are live")
    # The database stays in sight, wherever one scrolls to
    page.locator("#events").scroll_into_view_if_needed()
    expect(page.locator("#place")).to_be_in_viewport()
    expect(page.locator("#place")).to_have_text(f"{name} on 127.0.0.1:{database.rpartition(':')[2].partition('/')[0]}")

    # Given the question, when another name is typed, then nobody can say yes, and asking all the same changes nothing
    page.locator("#steer").get_by_role("button", name="Roll back").click()
    ask = page.locator("#ask")
    for words in (f"Database {name} on ", "the past table becomes live again, with 1 change", "Quarantined: no row"):
        expect(ask).to_contain_text(words)
    page.locator("#ask input").fill("another")
    expect(page.locator("#ask-yes")).to_be_disabled()
    assert served.act("rollback", run=1, database="another").status == 409
    with psycopg.connect(database, autocommit=True) as app:
        assert one(app, "SELECT state FROM replank.run") == "done"

        # When it is the right one, then the past table is live again, with what was written since
        page.locator("#ask input").fill(name)
        page.locator("#ask-yes").click()
        expect(page.locator("#said")).to_contain_text("the rollback has started")
        headline(page, "Rolled back by alice")
        wait_for("the end", lambda: one(app, "SELECT state FROM replank.run") == "rolled_back")
        assert one(app, "SELECT count(*) FROM parent WHERE pg_typeof(id) = 'text'::regtype") == 51
        assert one(app, "SELECT via FROM replank.rollback") == "page"
    looking.keep(page, "8-rolled-back")
    again = served.act("rollback", run=1, database=name)
    assert (again.status, "nothing to roll back" in again.document["problem"]) == (409, True)
    assert [said for said in looking.said if "409" not in said] == []
