"""Which queues nobody takes from: one judgement for the coordinator's notices and the headlines."""

from __future__ import annotations

import pytest

from monitoring.status.untaken import untaken
from sql.ledger.reading.signs import QueueSigns

pytestmark = pytest.mark.unit

COPY = QueueSigns(name="replank.copy", processes=0, sent=2, late=2, sends=1)
FRESH = QueueSigns(name="replank.index", processes=0, sent=1)
TAKEN = QueueSigns(name="replank.verify", processes=3, sent=5, late=5, sends=4)
EMPTY = QueueSigns(name="replank.drain", processes=0)


def test_late_jobs_without_a_process_are_taken_by_nobody() -> None:
    found = untaken([COPY, TAKEN, EMPTY])
    assert (found.queues, found.unsure, found.no_worker, found.jobs) == ((COPY,), (), False, 2)


def test_what_was_sent_a_moment_ago_may_be_on_its_way() -> None:
    assert untaken([FRESH, TAKEN]).queues == ()
    assert untaken([FRESH, TAKEN]).unsure == (FRESH,)


def test_without_any_process_no_worker_is_there() -> None:
    assert untaken([COPY, FRESH, EMPTY]).no_worker
    assert untaken([EMPTY]).queues == ()
