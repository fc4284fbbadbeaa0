"""Executing one job: lease, work, done; an ordinary function, whatever queue brought the message."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import psycopg
import structlog

from monitoring.tracing.tracing import NoTracing, Tracing
from replank.backoff import JOB
from replank.errors import LeaseLost, NeedsOperator, ReplankError
from replank.settings import Settings
from replank.values.states import JobKind
from replank.wording import counted
from sql.catalogue.foreign_code import refuse_foreign_code
from sql.ledger.jobs import claims
from sql.ledger.jobs.claims import Failure, Job
from sql.ledger.jobs.losses import SERVER_PROCESS_LOST
from sql.ledger.runs import runs
from sql.ledger.tables import caches, tables
from sql.rows.split import in_one_piece, may_split
from sql.session.connection import Connection
from workers.execution.bugs import fail_leased
from workers.execution.failing_rows import find_failing_rows
from workers.execution.lost_session import failure_of, remember_lease, stop_repeating
from workers.execution.not_claimed import why_not_claimed
from workers.execution.outcome import OF_STATE, Outcome
from workers.execution.splitting import SplitResult, leave_to_chunks, split
from workers.execution.verdict import TRIES_WHOLE, Verdict, judge
from workers.kinds.cache_jobs import perform_on_cache
from workers.kinds.table_jobs import Done, Limits, perform

log = structlog.get_logger()


OUTCOME_CHECKS = 20
OUTCOME_CHECK_S = 0.1
"""How often a worker that lost its session looks whether the old one has ended: the server sees to that in a second."""


@dataclass(frozen=True, kw_only=True)
class Executor:
    """Executes jobs on one connection. `worker` is the name that leases carry."""

    connection: Connection
    worker: str
    settings: Settings
    random_source: random.Random
    tracing: Tracing = field(default_factory=NoTracing)
    _limits: dict[int, Limits] = field(default_factory=dict)
    """By run: its plan does not change."""
    claimed: dict[int, Job] = field(default_factory=dict)
    """The last claim, by its id: what is known of it where the session is lost."""
    words: dict[str, str] = field(default_factory=dict)
    """`last`: what became of the last delivery, as monitors show it. No values of rows: it travels over the broker."""

    def execute(self, *, run_id: int, job_id: int) -> Outcome:
        """Claim the job and do it. A delivery that comes second or late changes nothing.

        Raises psycopg.OperationalError if the connection is lost: the lease is then swept up.
        """
        try:
            job = claims.claim(
                self.connection,
                run_id=run_id,
                job_id=job_id,
                worker=self.worker,
                lease_s=self.settings.lease_s,
            )
        except NeedsOperator as error:
            return self._fail_unread(run_id, job_id, error)
        if job is None:
            self.words["last"] = why_not_claimed(self.connection, run_id, job_id)
            return Outcome.NOTHING
        self.claimed.clear()
        self.claimed[job_id] = job
        with self.tracing.job(self.connection, job) as note:
            outcome = self._execute_claimed(job)
            note(str(outcome))
        return outcome

    def _fail_unread(self, run_id: int, job_id: int, error: NeedsOperator) -> Outcome:
        """Its lease is committed, but another version wrote the job: another attempt of this one reads no more."""
        failure = replace(judge(error).failure, message=f"{error} {error.hint}")
        outcome = fail_leased(self.connection, failure, job_id=job_id, worker=self.worker)
        self.words["last"] = failure.error_class
        log.error("job needs the operator", run=run_id, job=job_id, reason=str(error))
        return outcome

    def _execute_claimed(self, job: Job) -> Outcome:
        bound = log.bind(run=job.run_id, job=job.job_id, kind=str(job.kind), attempt=job.attempt)
        try:
            stopped = stop_repeating(self.connection, job, self._limits_of(job.run_id))
            if stopped is not None:
                return self._outcome_of_split(job, stopped)
            done = self._perform(job)
        except LeaseLost as error:
            bound.info("lease lost", reason=str(error))
            self.words["last"] = "overtaken: its lease was lost, nothing was changed"
            return Outcome.NOTHING
        except (psycopg.Error, ReplankError) as error:
            if self.connection.closed:
                raise
            return self._handle_error(job, error)
        bound.info("job done", rows=done.rows)
        self.words["last"] = f"{counted(done.rows, 'row')}, attempt {job.attempt}"
        return Outcome.DONE

    def _outcome_of_split(self, job: Job, came_to: SplitResult) -> Outcome:
        """What became of a job that was not done again, because sessions or workers were lost at it."""
        self.words["last"] = f"attempt {job.attempt}: not repeated, {came_to}"
        if came_to in (SplitResult.SPLIT, SplitResult.IN_CHUNKS):
            return Outcome.SPLIT
        if came_to is SplitResult.ONE_ROW:
            return Outcome.FAILED
        missed = Failure(error_class="not yet", sqlstate="", message="its range could not be halved now")
        claims.give_back(self.connection, job, missed, delay_s=JOB.wait_s(job.counted, self.random_source))
        return Outcome.AGAIN

    def resolve_outcome(
        self,
        job_id: int,
        error: psycopg.Error | ReplankError | SystemExit,
        *,
        job: Job | None = None,
        ended_by: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> Outcome | None:
        """What became of a job whose delivery ended with a lost session: this one is a new one of the same worker.

        A COMMIT whose reply was lost may have happened: the ledger knows, once the old session has ended. None where
        that still lives, or another worker has the job: then the sweeper sees to it. `job` is what was claimed,
        `ended_by` the SQLSTATE with which the server ended the session.
        """
        failure, costs = failure_of(self.connection, job_id, error, job=job, ended_by=ended_by)
        if job is not None and failure.error_class == SERVER_PROCESS_LOST:
            remember_lease(self.connection, job, worker=self.worker)
        for _ in range(OUTCOME_CHECKS):
            found = claims.resolve_unknown_outcome(
                self.connection,
                job_id=job_id,
                worker=self.worker,
                failure=failure,
                delay_s=JOB.wait_s(1, self.random_source) if costs else 0.0,
                costs_attempt=costs,
            )
            if found is not None:
                log.info("read the job's outcome in the ledger", job=job_id, state=str(found))
                self.words["last"] = f"{failure.error_class} {failure.sqlstate}".strip()
                return OF_STATE[found]
            sleep(OUTCOME_CHECK_S)
        return None

    def _perform(self, job: Job) -> Done:
        if job.cache_no is not None:
            cache = caches.read_cache(self.connection, job.run_id, job.cache_no)
            limits = self._limits_of(job.run_id)
            return perform_on_cache(self.connection, job, cache, limits, lease_s=self.settings.lease_s)
        table, limits = tables.read_table(self.connection, job.run_id, job.table_no), self._limits_of(job.run_id)
        if not limits.trusting:
            refuse_foreign_code(self.connection, [table.spec])
        return perform(self.connection, job, table, limits)

    def _limits_of(self, run_id: int) -> Limits:
        if run_id not in self._limits:
            options = runs.read_run(self.connection, run_id).plan.options
            self._limits[run_id] = Limits(
                statement_timeout_ms=self.settings.statement_timeout_ms,
                lock_timeout_ms=self.settings.lock_timeout_ms,
                index_memory_mb=options.index_memory_mb,
                trusting=options.trusts_functions,
            )
        return self._limits[run_id]

    def _handle_error(self, job: Job, error: psycopg.Error | ReplankError) -> Outcome:
        verdict = judge(error)
        failure = verdict.failure
        self.words["last"] = f"attempt {job.attempt}: {failure.error_class} {failure.sqlstate}".strip()
        bound = log.bind(run=job.run_id, job=job.job_id, sqlstate=failure.sqlstate, reason=failure.message)
        if verdict.rewritten:
            table = tables.read_table(self.connection, job.run_id, job.table_no)
            tables.mark_rewritten(self.connection, table.spec)
        whole = verdict.smaller and in_one_piece(job.kind, job.detail)
        smaller = verdict.smaller and may_split(job.kind, job.chunk, job.detail)
        tries = TRIES_WHOLE if smaller or whole else self.settings.job_attempts
        if verdict.again and (verdict.stopped or job.counted < tries):
            return self._again(job, verdict)
        row_key = None
        if whole:
            return self._leave_to_chunks(job, failure)
        if smaller:
            try:
                came_to, row_key = split(self.connection, job, failure, self._limits_of(job.run_id))
            except LeaseLost:
                return Outcome.NOTHING
            if came_to is SplitResult.SPLIT:
                return Outcome.SPLIT
            may_pass = verdict.again or came_to is not SplitResult.ONE_ROW
            if may_pass and job.counted < self.settings.job_attempts:
                return self._again(job, verdict)
        keys = [] if row_key is None else [row_key]
        if job.kind is JobKind.DRAIN and verdict.smaller and not verdict.again:
            try:
                keys = find_failing_rows(self.connection, job, self._limits_of(job.run_id))
            except LeaseLost:
                return Outcome.NOTHING
        claims.fail(self.connection, job, _with_row_keys(failure, keys), row_key=keys[0] if len(keys) == 1 else None)
        bound.error("job needs the operator", error_class=failure.error_class)
        return Outcome.FAILED

    def _leave_to_chunks(self, job: Job, failure: Failure) -> Outcome:
        try:
            leave_to_chunks(self.connection, job, failure, self._limits_of(job.run_id))
        except LeaseLost:
            return Outcome.NOTHING
        return Outcome.SPLIT

    def _again(self, job: Job, verdict: Verdict) -> Outcome:
        wait = JOB.wait_s(job.counted, self.random_source)
        claims.give_back(self.connection, job, verdict.failure, delay_s=wait, costs_attempt=not verdict.stopped)
        log.info("job waits", run=job.run_id, job=job.job_id, error_class=verdict.failure.error_class, s=round(wait, 2))
        return Outcome.AGAIN


def _with_row_keys(failure: Failure, keys: Sequence[Mapping[str, str]]) -> Failure:
    """The failure with the rows that it came down to."""
    if not keys:
        return failure
    named = [", ".join(f"{column} = {text!r}" for column, text in key.items()) for key in keys]
    rows = f"the row with {named[0]}" if len(named) == 1 else f"{len(named)} rows: {'; '.join(named)}"
    return replace(failure, message=f"{failure.message}; {rows}")
