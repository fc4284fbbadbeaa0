"""Flower tells the truth of jobs that failed, that are tried again and that are done, and leads to the run page."""

import re

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for

from page.flower import BAD, LOGIN, address, start_flower
from page.looking import Looking

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_flower_counts_filters_and_links(
    site: Site, browser: Browser | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if browser is None:
        with capsys.disabled():
            print("\nNO BROWSER: Flower was not looked at. Install Chromium, or name one in REPLANK_CHROMIUM.")
        return
    looking = Looking(browser=browser, root=address(start_flower(site)), login=LOGIN)
    ledger = LedgerView(url=site.database_url)
    page = looking.open("/workers")
    # Given: a run in which a job waits for a lock, one meets a value that is no uuid, and the others are done
    run = site.run(workers=0)
    ledger.wait_for_states({"copying"})
    with psycopg.connect(site.database_url) as holder:
        holder.execute("LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        worker = site.worker("--concurrency", "1", "--name", "first@here", REPLANK_LOCK_TIMEOUT_MS="200")
        expect(page.locator("#workers-table")).to_contain_text("first@here", timeout=60_000)
        tried = "SELECT count(*) FROM replank.job_attempt WHERE outcome = 'again'"
        wait_for("a job that waits for the lock", lambda: ledger.number(tried), explain=ledger.explain)
        holder.rollback()
    assert run.wait().exit_code == 1
    failed = ledger.number("SELECT job_id FROM replank.job WHERE state = 'failed'")
    halved = ledger.number("SELECT min(job_id) FROM replank.job WHERE state = 'split'")

    # Then: its counters say what the ledger says
    expect(page.locator("#workers-failed")).to_have_text("1")
    looking.keep(page, "flower-workers", whole=False)
    page.goto(f"{looking.root}/tasks")
    table = page.locator("#tasks-table tbody")
    for state in ("SUCCESS", "FAILURE", "RETRY"):
        expect(table).to_contain_text(state)
    looking.keep(page, "flower-all", whole=False)

    # And its filters find them
    page.get_by_role("button", name="Failed", exact=True).click()
    _only(page, "FAILURE")
    expect(table).to_contain_text(f"job {failed}: copy public.orders heap [")
    expect(table).to_contain_text("failed: attempt 1: value does not convert 22P02")
    looking.keep(page, "flower-filter-failed", whole=False)
    page.get_by_role("button", name="Retried", exact=True).click()
    _only(page, "RETRY")
    expect(table).to_contain_text(f"job {halved}: copy public.orders heap [")
    expect(table).to_contain_text("again: attempt 1: lock timeout 55P03")
    looking.keep(page, "flower-filter-retried", whole=False)

    # And a failed message leads to its job on the run page
    page.get_by_role("button", name="Failed", exact=True).click()
    _only(page, "FAILURE")
    table.locator("a[href*='/task/']").first.click()
    detail = page.locator("#task-page")
    expect(detail).to_contain_text("JobFailed('failed: attempt 1: value does not convert 22P02')")
    assert BAD not in page.content()
    looking.keep(page, "flower-task-failed")
    page.get_by_role("link", name=f"Job {failed} on the run page").click()
    dialog = page.locator("#chunks")
    expect(dialog).to_contain_text(BAD)
    expect(dialog).to_contain_text("Attempts that failed or ended early")
    expect(dialog.get_by_role("button", name="Retry", exact=True)).to_be_visible()
    looking.keep(page, "flower-job-on-run-page", whole=False)

    # And the run page leads back to the messages of that job alone
    dialog.get_by_role("link", name="Its messages in Flower").click()
    _only(page, "FAILURE")
    expect(table.locator("tr")).to_have_count(1)
    expect(table).to_contain_text(f"job {failed}: ")
    looking.keep(page, "flower-messages-of-job", whole=False)
    page.get_by_role("link", name="Run", exact=True).click()
    expect(page.locator("#headlines h1").first).to_be_visible()
    assert [words for words in looking.said if "401" not in words] == []
    assert worker.running


def _only(page: Page, state: str) -> None:
    """The table has messages, all of them in this state."""
    rows = page.locator("#tasks-table tbody tr")
    expect(rows.first.locator(".badge")).to_have_text(state)
    expect(rows.filter(has_not_text=re.compile(state))).to_have_count(0)
