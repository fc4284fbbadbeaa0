"""Executing one job: lease, work, done; an ordinary function, whatever queue brought the message."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum

import psycopg
import structlog

from replank.errors import LeaseLost, NeedsPerson, ReplankError
from replank.settings import Settings
from sql.connection import Connection
from sql.ledger import caches, jobs, runs, tables
from sql.ledger.jobs import Job
from workers.cache_work import perform_on_cache
from workers.failures import delay_s, judge
from workers.work import Done, Limits, perform

log = structlog.get_logger()


class Outcome(StrEnum):
    """What became of a delivery."""

    DONE = "done"
    NOTHING = "nothing"
    AGAIN = "again"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Executor:
    """Executes jobs on one connection. `worker` is the name that leases carry."""

    connection: Connection
    worker: str
    settings: Settings
    random_source: random.Random
    _limits: dict[int, Limits] = field(default_factory=dict)
    """By run: its plan does not change."""
    words: dict[str, str] = field(default_factory=dict)
    """`last`: what became of the last delivery, as monitors show it. No values of rows: it travels over the broker."""

    def execute(self, *, run_id: int, job_id: int) -> Outcome:
        """Claim the job and do it. A delivery that comes second or late changes nothing.

        Raises psycopg.OperationalError if the connection is lost: the lease is then swept up.
        """
        job = jobs.claim(
            self.connection,
            run_id=run_id,
            job_id=job_id,
            worker=self.worker,
            lease_s=self.settings.lease_s,
        )
        if job is None:
            self.words["last"] = "nothing to do: done already, in other hands, or the run rests"
            return Outcome.NOTHING
        bound = log.bind(run=run_id, job=job_id, kind=str(job.kind), attempt=job.attempt)
        try:
            done = self._perform(job)
        except LeaseLost as error:
            bound.info("lease lost", reason=str(error))
            self.words["last"] = "overtaken: its lease was lost, nothing was changed"
            return Outcome.NOTHING
        except (psycopg.Error, ReplankError) as error:
            if self.connection.closed:
                raise
            return self._give_up(job, error)
        bound.info("job done", rows=done.rows)
        self.words["last"] = f"{done.rows:,} rows, attempt {job.attempt}"
        return Outcome.DONE

    def _perform(self, job: Job) -> Done:
        if job.cache_no is not None:
            cache = caches.read_cache(self.connection, job.run_id, job.cache_no)
            limits = self._limits_of(job.run_id)
            return perform_on_cache(self.connection, job, cache, limits, lease_s=self.settings.lease_s)
        table = tables.read_table(self.connection, job.run_id, job.table_no)
        return perform(self.connection, job, table, self._limits_of(job.run_id))

    def _limits_of(self, run_id: int) -> Limits:
        if run_id not in self._limits:
            options = runs.read_run(self.connection, run_id).plan.options
            self._limits[run_id] = Limits(
                statement_timeout_ms=self.settings.statement_timeout_ms,
                lock_timeout_ms=self.settings.lock_timeout_ms,
                index_memory_mb=options.index_memory_mb,
            )
        return self._limits[run_id]

    def _give_up(self, job: Job, error: psycopg.Error | ReplankError) -> Outcome:
        verdict = judge(error)
        if verdict is None:
            raise NeedsPerson(f"job {job.job_id}: {error}") from error
        failure = verdict.failure
        self.words["last"] = f"attempt {job.attempt}: {failure.error_class} {failure.sqlstate}".strip()
        bound = log.bind(run=job.run_id, job=job.job_id, sqlstate=failure.sqlstate, reason=failure.message)
        if verdict.rewritten:
            table = tables.read_table(self.connection, job.run_id, job.table_no)
            tables.mark_rewritten(self.connection, table.spec)
        if verdict.again and job.counted < self.settings.job_attempts:
            wait = delay_s(job.counted, self.random_source)
            jobs.give_back(self.connection, job, failure, delay_s=wait)
            bound.info("job waits", error_class=failure.error_class, seconds=round(wait, 2))
            return Outcome.AGAIN
        jobs.fail(self.connection, job, failure)
        bound.error("job needs a person", error_class=failure.error_class)
        return Outcome.FAILED
