"""Having failed jobs tried again: these, a table's, a step's, those of one cause, or all; whole or in halves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.errors import UniqueViolation

from producer.operator.operator import Operator
from producer.operator.run_for_action import note, refuse_rolling_back
from producer.operator.scope import scope_of
from replank.errors import WrongUse
from replank.values.states import JobKind, JobState, RunState, TableState
from replank.wording import counted, verb
from sql.ledger.jobs import claims, failed, job_queue, story
from sql.ledger.jobs.story import JobStory
from sql.ledger.runs import restraints, runs
from sql.ledger.runs.runs import Run
from sql.ledger.tables import tables
from sql.rows.split import WHOLE, halve, in_one_piece, may_split
from sql.session.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which failed jobs. Nothing given means all of them; several things given must all be so.

    `step` is a step's name (08-migrate-uuid-types) or a kind of job (copy). `cause` is a class of errors as `failures`
    shows it ("value does not convert") or an SQLSTATE (22P02).
    """

    job_ids: tuple[int, ...] = ()
    table: str | None = None
    step: str | None = None
    cause: str | None = None

    @property
    def is_everything(self) -> bool:
        return not self.job_ids and self.table is None and self.step is None and self.cause is None

    @property
    def words(self) -> str:
        said = [f"job {job_id}" for job_id in self.job_ids]
        said += [str(word) for word in (self.table, self.step, self.cause) if word is not None]
        return ", ".join(said) or "all failed jobs"


def chosen(connection: Connection, run: Run, which: Selection) -> list[JobStory]:
    """The failed jobs that are meant. Raises WrongUse where a named job has not failed, or nothing has."""
    place = scope_of(connection, run, table=which.table).place
    found = failed.read_failed(
        connection,
        run.run_id,
        job_ids=which.job_ids or None,
        table_no=place.table_no,
        cache_no=place.cache_no,
        step=which.step,
        cause=which.cause,
    )
    missing = set(which.job_ids) - {job.job_id for job in found}
    if missing:
        raise WrongUse("; ".join(_why_not(connection, run, job_id) for job_id in sorted(missing)) + ".")
    if not found and (which.step is not None or which.cause is not None):
        there = failed.causes(connection, run.run_id)
        causes = ", ".join(
            f"{c.error_class!r} ({c.sqlstate or 'no SQLSTATE'}, {counted(c.jobs, 'job')})" for c in there
        )
        raise WrongUse(f"No failed job matches {which.words}. Present causes: {causes or 'none'}.")
    return found


def _why_not(connection: Connection, run: Run, job_id: int) -> str:
    job = story.read_job(connection, run.run_id, job_id)
    if job is None:
        return f"run {run.run_id} has no job {job_id}"
    if job.state is JobState.SPLIT:
        halves = ", ".join(map(str, story.halves(connection, job_id)))
        return f"job {job_id} was split: its range is now in jobs {halves}"
    return f"job {job_id} is {job.state}, not failed"


def retry(connection: Connection, run: Run, which: Selection, *, by: Operator, smaller: bool = False) -> str:
    """Have failed jobs tried again by the run that is under way, or by the next `replank run PLAN`.

    What a breaker has stopped among their tables continues too. `smaller` halves each chunk first.
    """
    refuse_rolling_back(run)
    found = chosen(connection, run, which)
    with connection.transaction():
        if not smaller:
            found_now, corrected = _drain_corrected(connection, run, found)
            count = corrected + failed.retry(connection, run.run_id, [job.job_id for job in found_now])
            words = f"{counted(count, 'job', 'waits')} again"
        else:
            words = _split_all(connection, run, found)
        if which.is_everything:
            tables.clear_problems(connection, run.run_id)
            every = [t.table_no for t in tables.read_tables(connection, run.run_id)]
            failed.forgive_errors(connection, run.run_id, every)
            restraints.lift_breaker(connection, run.run_id, every)
        else:
            _free(connection, run, which, found)
        runs.set_run_state(connection, run.run_id, RunState.RUNNING, "")
        note(connection, run, by, "retry", subject=which.words, message=words)
    return f"Run {run.run_id}: {words}. If no coordinator is running, continue with `replank run PLAN`."


def _free(connection: Connection, run: Run, which: Selection, found: Sequence[JobStory]) -> None:
    """Tables and caches of these jobs continue, and the table that was named, whether a job of it failed or not."""
    place = scope_of(connection, run, table=which.table).place
    table_nos = {job.table_no for job in found} | {place.table_no}
    cache_nos = {job.cache_no for job in found} | {place.cache_no}
    numbers = sorted(number for number in table_nos if number is not None)
    failed.clear_problems_of(
        connection, run.run_id, table_nos=numbers, cache_nos=sorted(n for n in cache_nos if n is not None)
    )
    restraints.lift_breaker(connection, run.run_id, numbers)


def _split_all(connection: Connection, run: Run, found: Sequence[JobStory]) -> str:
    """Each chunk's halves wait in its place; what has no halves waits whole, and the answer says why."""
    specs = {t.table_no: t.spec for t in tables.read_tables(connection, run.run_id)}
    halves, whole = 0, []
    in_chunks = {job.table_no for job in found if job.table_no is not None and in_one_piece(job.kind, job.detail)}
    for table_no in in_chunks:
        # Its barrier finds no result, and has the table compared again: in chunks.
        tables.verify_in_chunks(connection, specs[table_no])
        job_queue.cancel(connection, specs[table_no])
    for job in found:
        if job.table_no in in_chunks:
            continue
        cut = None
        if may_split(job.kind, job.chunk, job.detail) and job.chunk is not None and job.table_no is not None:
            cut = halve(connection, specs[job.table_no], job.chunk, job.detail.get("side", "live"))
        if cut is None or not cut.chunks:
            whole.append(job)
            continue
        halves += len(
            claims.split(
                connection,
                job_id=job.job_id,
                attempt=job.attempt,
                state=JobState.FAILED,
                failure=None,
                halves=cut.chunks,
            )
        )
    failed.retry(connection, run.run_id, [job.job_id for job in whole])
    said = [f"{halves} halves wait"]
    said += [f"{counted(len(in_chunks), 'table', 'is')} verified again in chunks"] if in_chunks else []
    said += (
        [
            f"{counted(len(whole), 'job', 'waits')} whole, because {verb(len(whole), 'it')} "
            f"{verb(len(whole), 'has')} no halves: {_why_whole(whole)}"
        ]
        if whole
        else []
    )
    return "; ".join(said)


def _why_whole(whole: Sequence[JobStory]) -> str:
    reasons = {WHOLE.get(job.kind, "the range has only a single row") for job in whole}
    return "; ".join(sorted(reasons))


def _drain_corrected(connection: Connection, run: Run, found: Sequence[JobStory]) -> tuple[list[JobStory], int]:
    """Where a unique index met rows that became one uuid: the corrected rows come in before it is built.

    Returns the jobs that are left to be tried again as they are, and how many were dealt with.
    """
    collided = {j.table_no for j in found if j.kind is JobKind.INDEX and j.sqlstate == UniqueViolation.sqlstate}
    drained: set[int] = set()
    for table in tables.read_tables(connection, run.run_id):
        if table.table_no not in collided or table.state is not TableState.INDEXING:
            continue
        drained.add(table.table_no)
        job_queue.cancel(connection, table.spec)
        job_queue.add_jobs(
            connection,
            table.spec,
            JobKind.DRAIN,
            step=run.plan.steps.carrier,
            generation=table.generation,
            details=[{"compare": False, "by_index": False}],
        )
        tables.move_table(connection, table.spec, TableState.FIRST_DRAIN)
    left = [job for job in found if job.table_no not in drained]
    return left, len(found) - len(left)
