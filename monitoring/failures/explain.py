"""`explain JOB`: what a job is, its SQL as a worker would send it, the server's plan for it, and its history.

Nothing is executed: EXPLAIN without ANALYZE, in a transaction that is read only and rolled back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from monitoring.status.suggestions import suggestion
from replank.errors import WrongUse
from replank.values.states import JobKind, JobState
from replank.values.table_spec import TableSpec
from sql.drain.verification import summed
from sql.ledger.jobs import story
from sql.ledger.jobs.story import JobAttempt, JobStory
from sql.ledger.runs import runs
from sql.ledger.runs.runs import Run
from sql.ledger.runs.worker_logs import WorkerLog, worker_logs
from sql.ledger.tables import tables
from sql.next_table.indexes import IndexSpec
from sql.rows.copy import copy_statement, in_chunk
from sql.rows.fill import backfill_statement
from sql.session.connection import Connection, apply_settings, run
from sql.session.table_names import live_table, next_table
from sql.values.conversion import ComparedBy


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """`statements` are empty for work that is no single statement; `plan` is empty where the server gave none."""

    job: JobStory
    statements: tuple[str, ...]
    plan: tuple[str, ...]
    why_no_plan: str
    attempts: tuple[JobAttempt, ...]
    halves: tuple[int, ...]
    worker_logs: tuple[WorkerLog, ...]
    """Of workers that `run` started; where others write depends on how they were started."""

    def to_json(self) -> dict[str, Any]:
        job = self.job
        return {
            "job": job.job_id,
            "parent": job.parent,
            "halves": list(self.halves),
            "step": job.step,
            "table": job.name,
            "kind": str(job.kind),
            "state": str(job.state),
            "range": job.range,
            "axis": job.axis and str(job.axis),
            "lower": job.lower,
            "upper": job.upper,
            "row": job.row_key,
            "attempts": [each.to_json() for each in self.attempts],
            "class": job.error_class,
            "sqlstate": job.sqlstate,
            "message": job.message,
            "suggestion": self.next_step,
            "worker_logs": [asdict(log) for log in self.worker_logs],
            "sql": list(self.statements),
            "plan": list(self.plan),
            "why_no_plan": self.why_no_plan,
        }

    @property
    def next_step(self) -> str:
        if self.job.state is not JobState.FAILED:
            return ""
        return suggestion(self.job.error_class, job=self.job.job_id, row=self.job.row_key)


def explain_job(connection: Connection, present: Run, job_id: int) -> Explanation:
    """Raises WrongUse where the run has no such job."""
    job = story.read_job(connection, present.run_id, job_id)
    if job is None:
        raise WrongUse(
            f"Run {present.run_id} has no job {job_id}; `replank failures` shows those that need the operator."
        )
    statements: tuple[Composable, ...] = ()
    if job.table_no is not None:
        spec = tables.read_table(connection, present.run_id, job.table_no).spec
        statements = _statements(connection, job, spec)
    plan, why_not = _plan(connection, statements, job)
    return Explanation(
        job=job,
        statements=tuple(statement.as_string(connection) for statement in statements),
        plan=tuple(plan),
        why_no_plan=why_not,
        attempts=tuple(story.attempts(connection, job_id)),
        halves=tuple(story.halves(connection, job_id)),
        worker_logs=tuple(worker_logs(connection, present.run_id)),
    )


def _statements(connection: Connection, job: JobStory, spec: TableSpec) -> tuple[Composable, ...]:
    version, chunk = connection.info.server_version, job.chunk
    if job.kind is JobKind.COPY and chunk is not None:
        return (copy_statement(spec, chunk, version),)
    if job.kind is JobKind.BACKFILL and chunk is not None:
        return (backfill_statement(spec, chunk),)
    if job.kind is JobKind.VERIFY and chunk is not None:
        side = job.detail["side"]
        return (summed(spec, side, in_chunk(spec, chunk, side), ComparedBy(job.detail["compared_by"]), version),)
    if job.kind is JobKind.INDEX:
        return (SQL("{}").format(SQL(IndexSpec(**job.detail).definition)),)
    if job.kind is JobKind.VALIDATE:
        named = Identifier(job.detail["schema"], job.detail["table"])
        return (SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(named, Identifier(job.detail["name"])),)
    if job.kind is JobKind.VACUUM:
        table = live_table(spec) if spec.method == "backfill" else next_table(spec)
        return (SQL("VACUUM (ANALYZE) {}").format(table),)
    return ()


def _plan(connection: Connection, statements: Sequence[Composable], job: JobStory) -> tuple[list[str], str]:
    """The server's plan with estimates only, or why there is none."""
    if job.kind not in (JobKind.COPY, JobKind.BACKFILL, JobKind.VERIFY) or not statements:
        return [], f"a {job.kind} job is not a single statement that can be explained"
    try:
        with connection.transaction(force_rollback=True):
            apply_settings(connection, {"transaction_read_only": "on", "statement_timeout": "5s"}, local=True)
            apply_settings(connection, {"max_parallel_workers_per_gather": "0"}, local=True)
            found = run(connection, SQL("EXPLAIN {}").format(statements[0])).fetchall()
    except psycopg.Error as error:
        if connection.closed:
            raise
        return [], f"the server cannot plan it now: {error.diag.message_primary or error}"
    return [str(line[0]) for line in found], ""


def newest_run(connection: Connection) -> Run:
    present = runs.latest_run(connection)
    if present is None:
        raise WrongUse("There is no run on this database.")
    return present
