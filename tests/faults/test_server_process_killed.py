"""The kernel kills a job's server process each time, for want of memory: PostgreSQL ends all sessions with it."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import psycopg
import pytest
from support.runs.attacks import Attack
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import POLL_S
from support.schemas.small_shop import differences

pytestmark = pytest.mark.faults

ORDERS = 8
CULPRIT = 5
_VICTIMS = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND application_name LIKE 'replank worker%'"
_SLEEPS = """
CREATE FUNCTION public.heavy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_catalog.pg_sleep(60); RETURN NEW; END $$;
CREATE TRIGGER heavy BEFORE INSERT ON replank_next.orders FOR EACH ROW WHEN (NEW.number = {})
    EXECUTE FUNCTION public.heavy();
"""


@contextlib.contextmanager
def killing(ledger: LedgerView) -> Iterator[list[int]]:
    """SIGKILL to each server process that is at the culprit, as the kernel does it. Yields the processes."""
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(POLL_S):
            for (pid,) in ledger.rows(_VICTIMS):
                os.kill(int(str(pid)), signal.SIGKILL)
                killed.append(int(str(pid)))

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


@pytest.mark.attack("D6", "the server process of a job is killed each time, and the server ends all sessions")
def test_a_job_that_kills_its_server_process_is_halved(site: Site, ledger: LedgerView, attack: Attack) -> None:
    # Given: a table of which one row costs the server process its life
    with psycopg.connect(site.database_url, autocommit=True) as application:
        application.execute("DELETE FROM orders WHERE number > %s", [ORDERS])
        application.execute("VACUUM FULL orders")
    site.run(workers=0)
    ledger.wait_for_states({"copying"})
    site.end()
    with psycopg.connect(site.database_url, autocommit=True) as application:
        application.execute(_SLEEPS.format(CULPRIT).encode())
        (row,) = application.execute("SELECT id FROM orders WHERE number = %s", [CULPRIT]).fetchall()
    # When
    with killing(ledger) as killed:
        finished = site.run(workers=2).wait()
    # Then: it is halved after the second time, its halves after the first, down to the row that the operator is told of
    assert finished.exit_code == 1, finished.stderr
    attempts = ledger.rows(
        "SELECT a.attempt, a.error_class FROM replank.job_attempt a JOIN replank.job j USING (job_id)"
        " WHERE parent IS NULL AND kind = 'copy' AND counts ORDER BY a.attempt"
    )
    assert attempts == [(1, "server process lost"), (2, "server process lost"), (3, "server process lost")], attempts
    ((failed, message),) = ledger.rows("SELECT error_class, message FROM replank.job WHERE state = 'failed'")
    assert failed == "server process lost"
    assert row[0] in str(message)
    assert "PostgreSQL's log" in str(message)
    assert len(killed) <= 2 + 3 + 1
    # And: all other rows are there, and nobody else's job was blamed
    copied = ledger.number("SELECT count(*) FROM replank_next.orders")
    assert copied == ORDERS - 1
    assert ledger.rows("SELECT DISTINCT error_class FROM replank.job_attempt WHERE counts") == [(failed,)]
    # When: the cause is gone
    with psycopg.connect(site.database_url, autocommit=True) as application:
        application.execute("DROP FUNCTION public.heavy() CASCADE")
    assert site.call("retry").exit_code == 0
    finished = site.run(workers=2).wait()
    assert finished.exit_code == 0, finished.stderr
    assert differences(site.database_url) == []
    attack.record("halved after the second crash down to the row, which was named; then done", tried=len(killed))
