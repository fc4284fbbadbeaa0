"""A whole run through the eyes of an operator: real processes, a real browser, nothing but the page and its buttons."""

from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect
from support.runs.processes import Process, Site
from support.schemas.small_shop import differences

from page.flower import BAD, LOGIN, address, start_flower
from page.looking import PATIENCE_MS, Looking, headline, too_wide

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_a_run_is_watched_repaired_held_and_let_go(
    site: Site, browser: Browser | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if browser is None:
        with capsys.disabled():
            print("\nNO BROWSER: the run page was not looked at. Install Chromium, or name one in REPLANK_CHROMIUM.")
        return
    flower = start_flower(site)
    looking = Looking(browser=browser, root=address(flower), login=LOGIN)

    # Given the page before there is anything to see
    page = looking.open("/")
    headline(page, "There is no run on this database")
    looking.keep(page, "1-no-run")

    # When a run meets a value that is no uuid
    first = site.run("--hold-cutover", workers=0)
    worker = site.worker("--concurrency", "1", "--name", "first@here")
    headline(page, "The run has stopped and needs the operator")
    first.wait()

    # Then the page says what it is and what to do
    cause = page.locator(".cause")
    expect(cause).to_contain_text(BAD)
    expect(cause).to_contain_text("correct or delete the row in the live table")
    looking.keep(page, "2-failed")
    _see_the_failed_job(page, looking)
    _see_it_on_a_phone(looking)

    # When the value is corrected and the person clicks
    with psycopg.connect(site.database_url) as connection:
        connection.execute("UPDATE orders SET id = gen_random_uuid() WHERE id = %s", [BAD])
    cause.get_by_role("button", name="Retry", exact=True).click()
    expect(page.locator("#said")).to_contain_text("1 job waits again")
    expect(cause).to_have_count(0)
    headline(page, "No coordinator is running")

    # Then it can be paused before it goes on, with the reason in the log
    page.locator("#steer").get_by_role("button", name="Pause").click()
    page.locator("#ask input").fill("<b>tea</b>")
    page.locator("#ask-yes").click()
    headline(page, "Paused by alice")
    second = site.run("--hold-cutover", workers=0)
    headline(page, "Paused by alice")
    looking.keep(page, "3-paused")
    page.locator("#headlines").get_by_role("button", name="Resume").click()

    # Then it is ready, and waits for a person's word
    headline(page, "2 of 2 tables wait for you to start the cutover")
    expect(page.locator("#workers-sum")).to_contain_text("1 process connected, 1 worker seen by Celery")
    looking.keep(page, "4-held")
    _grow_the_pool(page, looking)
    page.locator("#headlines").get_by_role("button", name="Cut over now").click()
    _the_question_names_what_hangs_on_it(page, urlsplit(site.database_url).path[1:])
    looking.keep(page, "4-held-question", whole=False)
    page.locator("#ask-yes").click()
    headline(page, "Done: the new tables are live")
    looking.keep(page, "5-done")
    assert second.wait().exit_code == 0
    assert differences(site.database_url) == []

    # Then the log has each click with the name
    for words in ("pause", "resume", "retry", "scale", "release cutover"):
        expect(page.locator("#events li").filter(has_text=words).filter(has_text="alice").first).to_be_visible()
    expect(page.locator("#events")).to_contain_text("<b>tea</b>")

    _see_flower_itself(looking, site)
    assert [words for words in looking.said if "401" not in words] == []
    _stops_and_remembers(site, flower, browser)
    assert worker.running


def _see_the_failed_job(page: Page, looking: Looking) -> None:
    """By pointing at its cell, and by opening it."""
    cell = page.locator(".cells .cell.failed").first
    cell.hover()
    tip = page.locator("#tip")
    for words in ("1 failed", "heap [", "attempt", "worker", BAD):
        expect(tip).to_contain_text(words)
    looking.keep(page, "2-failed-tip", whole=False)
    cell.click()
    dialog = page.locator("#chunks")
    expect(dialog.locator(".job.failed")).to_contain_text(BAD)
    dialog.locator(".job.failed .explain").click()
    expect(dialog.locator(".explained")).to_contain_text("INSERT INTO")
    expect(dialog.locator(".explained li").first).to_contain_text("value does not convert")
    looking.keep(page, "2-failed-job", whole=False)
    dialog.get_by_role("button", name="Close").click()


def _see_it_on_a_phone(looking: Looking) -> None:
    for scheme in ("light", "dark"):
        page = looking.open("/run", width=360, height=740, scheme=scheme, touch=True)
        headline(page, "The run has stopped and needs the operator")
        expect(page.locator(".cells .cell.failed").first).to_be_visible()
        assert too_wide(page) <= 0
        # What a person must know and do is on the first screen
        button = page.locator("#headlines button").first.bounding_box()
        assert button is not None
        assert button["y"] + button["height"] < 740
        assert button["height"] >= 36
        looking.keep(page, f"2-failed-phone-{scheme}")
        page.locator(".cells .cell.failed").first.tap()
        expect(page.locator("#chunks .job.failed")).to_contain_text(BAD)
        looking.keep(page, f"2-failed-phone-job-{scheme}", whole=False)
        page.context.close()


def _the_question_names_what_hangs_on_it(page: Page, database: str) -> None:
    """And wants the database's name before it lets anybody say yes."""
    ask = page.locator("#ask")
    for words in (
        f"Database {database} on ",
        "2 tables with 3,200 rows",
        "public.orders (3,000 rows)",
        "Quarantined: no row",
    ):
        expect(ask).to_contain_text(words)
    expect(ask).to_contain_text("Failed: no job")
    expect(page.locator("#ask-yes")).to_be_disabled()
    page.locator("#ask input").fill(f"{database}x")
    expect(page.locator("#ask-yes")).to_be_disabled()
    page.locator("#ask input").fill(database)


def _grow_the_pool(page: Page, looking: Looking) -> None:
    """With the page's button, then with Flower's own."""
    page.locator("#steer").get_by_role("button", name="Scale").click()
    page.locator("#ask input").fill("2")
    page.locator("#ask-yes").click()
    expect(page.locator("#said")).to_contain_text("first@here 1 → 2", timeout=PATIENCE_MS)
    expect(page.locator("#workers-sum")).to_contain_text("2 processes", timeout=PATIENCE_MS)
    flower = looking.open("/worker/first@here")
    flower.locator("#worker-pool-grow").click()
    expect(page.locator("#workers-sum")).to_contain_text("3 processes", timeout=PATIENCE_MS)
    flower.context.close()


def _see_flower_itself(looking: Looking, site: Site) -> None:
    """Messages read as chunks, with what became of them; the address of the server leads back to the run."""
    page = looking.open("/tasks")
    table = page.locator("#tasks-table")
    expect(table).to_contain_text("replank.copy")
    expect(table).to_contain_text("copy public.orders heap [")
    expect(table).to_contain_text("rows, attempt 1")
    looking.keep(page, "6-flower-messages", whole=False)
    page.locator("input[type=search]").fill("public.customers")
    expect(table.locator("tbody tr").filter(has_text="public.orders")).to_have_count(0)
    expect(table).to_contain_text("public.customers")
    # No page of it has a secret: neither the worker's configuration nor the broker's address
    for path in ("/worker/first@here", "/broker", "/tasks", "/workers", "/metrics"):
        page.goto(looking.root + path)
        text = page.content()
        for secret in (LOGIN[1], urlsplit(site.database_url).password, urlsplit(site.broker_url).password):
            assert secret, "a server without a password proves nothing"
            assert secret not in text, path
    page.goto(f"{looking.root}/workers")
    expect(page.locator("body")).to_contain_text("first@here")
    looking.keep(page, "6-flower-workers", whole=False)
    page.locator(".app-brand").click()
    headline(page, "Done: the new tables are live")
    page.context.close()


def _stops_and_remembers(site: Site, flower: Process, browser: Browser) -> None:
    """SIGTERM ends it at once; the next one knows the messages of before."""
    flower.terminate()
    assert flower.wait(deadline_s=15).exit_code == 0
    again = Looking(browser=browser, root=address(start_flower(site)), login=LOGIN)
    page = again.open("/tasks")
    expect(page.locator("#tasks-table")).to_contain_text("copy public.orders heap [")
    page.context.close()
