"""A foreign exception at the end of each kind of work, before "done" is written: nothing is done, and it is seen."""

from __future__ import annotations

import os

import psycopg
import pytest
import structlog
from support.oracles.oracle import one
from support.runs.harness import Rebuild

from protocol.caches.cached_shop import ALL_UUID, CACHE, SUMMARY, USERS, Begin, differences
from replank.values.messages import QUEUES
from replank.values.states import JobKind, TableState
from sql.ledger.jobs import claims, failed, story
from workers.application.celery_app import Child
from workers.execution.outcome import Outcome
from workers.stopping.refused_worker import Refusals
from workers.stopping.soft_stop import worker_name

pytestmark = pytest.mark.protocol

SECRET = "a-customer's-id"
IN_PLACE = {"name": "doc", "method": "backfill", "add": [{"name": "twice", "type": "bigint", "value": "live.n * 2"}]}
CACHE_WORK = {"cut", "fill", "index", "validate", "vacuum", "refresh"}


class Bugs:
    """Delivers jobs as a worker's process does; the first of each kind of work meets a bug, and is tried again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        self._monkeypatch = monkeypatch
        self._url = url
        self._child: Child | None = None
        self.met: dict[str, int] = {}

    def execute(self, rebuild: Rebuild, job_id: int, _worker: object = None) -> Outcome:
        self._child = self._child or Child(rebuild.settings, QUEUES, Refusals())
        found = story.read_job(rebuild.connection, rebuild.run_id, job_id)
        assert found is not None
        work = f"cache {found.detail['what']}" if found.kind is JobKind.CACHE else str(found.kind)
        if work in self.met:
            return self._child.deliver(rebuild.run_id, job_id).outcome
        self.met[work] = job_id
        self._meet(rebuild, self._child, job_id, work)
        return Outcome.AGAIN

    def _meet(self, rebuild: Rebuild, child: Child, job_id: int, work: str) -> None:
        def broken(*_: object, **__: object) -> bool:
            raise KeyError(SECRET)

        with self._monkeypatch.context() as patch, structlog.testing.capture_logs() as lines:
            patch.setattr(claims, "finish", broken)
            report = child.deliver(rebuild.run_id, job_id)
        assert report.outcome is Outcome.FAILED, work
        assert report.words.startswith("internal error, KeyError in ")
        assert SECRET not in report.words
        (line,) = [line for line in lines if line["log_level"] == "error"]
        assert (line["run"], line["job"]) == (rebuild.run_id, job_id)
        assert isinstance(line["exc_info"], KeyError)
        (failure,) = rebuild.failures()
        assert (failure.error_class, failure.attempt) == ("internal error", 1), work
        assert SECRET in (failure.message or "")
        assert "test_bugs.py:" in (failure.message or "")
        assert failed.retry(rebuild.connection, rebuild.run_id, [job_id]) == 1

    def close(self) -> None:
        if self._child is not None:
            self._child.close()


def test_a_bug_at_the_end_of_each_kind_of_work(
    start: Begin, shop: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: a run with work of every kind
    shop.execute("CREATE TABLE doc AS SELECT n AS id, n FROM generate_series(1, 9) AS n")
    shop.execute("ALTER TABLE doc ADD PRIMARY KEY (id)")
    rebuild = start({**CACHE, "chunks": 2}, SUMMARY, tables=(*ALL_UUID, IN_PLACE))
    bugs = Bugs(monkeypatch, rebuild.settings.database())
    monkeypatch.setattr(Rebuild, "execute", lambda *given: bugs.execute(*given))
    # When: the first job of each kind meets a bug just before it would be done
    rebuild.until_any(TableState.VERIFYING)
    shop.execute("DELETE FROM replank_next.users WHERE name = 'User 7'")
    rebuild.finish()
    bugs.close()
    # Then: there was one of every kind, each was seen, and nothing was done twice or not at all
    assert set(bugs.met) >= {*map(str, JobKind), *(f"cache {what}" for what in CACHE_WORK)} - {"cache"}
    assert differences(shop) == []
    missing = "SELECT count(*) FROM replank_past.users p LEFT JOIN users u ON u.id = p.id::uuid WHERE u.id IS NULL"
    assert one(shop, missing) == 0
    assert one(shop, "SELECT count(*) FROM users") == USERS
    assert one(shop, "SELECT count(*) FROM doc WHERE twice IS DISTINCT FROM n * 2") == 0
    assert one(shop, "SELECT count(DISTINCT worker) FROM replank.job_attempt") == 1
    assert one(shop, "SELECT max(worker) FROM replank.job_attempt") == worker_name(os.getpid())
