"""Everything at once, at random moments, under live writers."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import LONG
from support.schemas.uuid_columns import uuid_differences

from demo.application import Application
from demo.application.check import check_journal
from demo.datasets.market import uuid_columns
from demo.embedded import EmbeddedValkey
from faults.broker_view import flush

pytestmark = pytest.mark.faults

FAULTS = 60 if LONG else 12
APART_S = 0.4


def test_storm_under_live_writers(sample_site: Site, broker: EmbeddedValkey) -> None:
    # Given: live writers, and a run whose cutover is held so that past and live can be compared
    site, ledger = sample_site, LedgerView(url=sample_site.database_url)
    with Application(url=site.database_url, clients=2, rate=60) as application:
        run = site.run("--hold-cutover", workers=2)
        # When: sessions, workers and messages are lost again and again
        for fault in itertools.islice(_faults(ledger, broker), FAULTS):
            time.sleep(APART_S)
            fault()
        # Then: every table is ready by itself
        ledger.wait_for_states({"ready"})
        report = application.stop()
    assert report.lost == []
    # And: past and live are the same after the cutover, and every write is in them
    assert site.call("cutover").exit_code == 0
    finished = run.wait()
    assert finished.exit_code == 0, finished.stderr
    assert uuid_differences(site.database_url, uuid_columns()) == []
    assert application.journal is not None
    assert check_journal(site.database_url, application.journal).lost == []
    assert ledger.unfinished_jobs() == 0


def _faults(ledger: LedgerView, broker: EmbeddedValkey) -> Iterator[Callable[[], object]]:
    def kill_a_worker() -> None:
        for lease in ledger.leases()[:1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(lease.process).kill()

    yield from itertools.cycle(
        (
            lambda: flush(broker),
            kill_a_worker,
            lambda: ledger.terminate("replank coordinator%"),
            lambda: ledger.terminate("replank worker%"),
        )
    )
