"""Leaving a failed job out for good, where that loses nothing, or is reported for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from producer.operator.operator import Operator
from producer.operator.retrying import Selection, chosen
from producer.operator.run_for_action import note, refuse_rolling_back
from replank.errors import WrongUse
from replank.values.states import JobKind, RunState
from replank.wording import counted
from sql.ledger.jobs import failed
from sql.ledger.jobs.story import JobStory
from sql.ledger.runs import runs
from sql.ledger.runs.runs import Run
from sql.next_table.foreign_keys import is_partition
from sql.session.connection import Connection

MAY_BE_SKIPPED: Mapping[JobKind, str] = {
    JobKind.VACUUM: "autovacuum will process the table later",
}

CACHE_WORK_THAT_MAY = {
    "prewarm": "it is read into memory when it is used",
    "redis": "stale keys stay until they expire",
    "refresh": "the materialized view stays as it was before the run",
    "vacuum": "autovacuum will process the table later",
    "validate": "its foreign key stays NOT VALID: existing rows are not checked, new ones are",
}

WHY_NOT: Mapping[JobKind, str] = {
    JobKind.COPY: "its rows would be missing in the new table; correct the row in the message and use `replank "
    "retry`, or first `replank retry --smaller`, which isolates that row",
    JobKind.BACKFILL: "its rows would stay unfilled; correct the row in the message and use `replank retry`, or "
    "first `replank retry --smaller`, which isolates that row",
    JobKind.DRAIN: "changes of the application would be missing in the new table; correct the cause in the message "
    "and use `replank retry`",
    JobKind.VERIFY: "it would be unknown whether both tables are equal; use `replank retry`",
    JobKind.REPAIR: "mismatches would remain; use `replank retry`",
    JobKind.INDEX: "the new table would be slower than the old one, or a key of it would not be unique; correct the "
    "cause in the message and use `replank retry`",
    JobKind.CACHE: "the cache would not have the result of its query; correct it in the plan, then `replank run PLAN`",
}


def skip(connection: Connection, run: Run, job_ids: Sequence[int], reason: str, *, by: Operator) -> str:
    """Leave failed jobs out. All of them, or none where one may not be. The reason stays in the ledger and report."""
    refuse_rolling_back(run)
    if not reason.strip():
        raise WrongUse("Give the reason with --reason; it is recorded.")
    if not job_ids:
        raise WrongUse("Give the ids of the jobs, as `replank failures` shows them.")
    found = chosen(connection, run, Selection(job_ids=tuple(dict.fromkeys(job_ids))))
    refused = [
        f"job {job.job_id} ({job.kind} of {job.name}): {why}" for job in found if (why := _refusal(connection, job))
    ]
    if refused:
        raise WrongUse(f"Nothing was skipped. These jobs cannot be skipped: {'; '.join(refused)}.")
    with connection.transaction():
        for job in found:
            words = f"{reason} ({by.name}); {consequence(job)}"
            failed.leave_out(connection, run.run_id, [job.job_id], words)
            note(connection, run, by, "skip", subject=f"job {job.job_id}: {job.kind} of {job.name}", message=words)
        runs.set_run_state(connection, run.run_id, RunState.RUNNING, "")
    told = "; ".join(f"job {job.job_id}: {consequence(job)}" for job in found)
    return (
        f"Run {run.run_id}: {counted(len(found), 'job', 'is')} skipped for good. {told}. Continue with `replank run "
        "PLAN`."
    )


def consequence(job: JobStory) -> str:
    """What it means that the job is left out; empty where it may not be."""
    if job.kind is JobKind.CACHE:
        return CACHE_WORK_THAT_MAY.get(str(job.detail.get("what")), "")
    if job.kind is JobKind.VALIDATE and not _proves_not_null(job):
        return CACHE_WORK_THAT_MAY["validate"]
    return MAY_BE_SKIPPED.get(job.kind, "")


def _proves_not_null(job: JobStory) -> bool:
    """A backfill's CHECK, on which NOT NULL stands afterwards."""
    name = str(job.detail.get("name", ""))
    return job.kind is JobKind.VALIDATE and "replank_" in name and name.endswith("_check")


def _refusal(connection: Connection, job: JobStory) -> str:
    if job.kind is JobKind.VALIDATE and is_partition(connection, job.detail["schema"], job.detail["table"]):
        return "the partitioned table's key depends on this one; correct its rows and use `replank retry`"
    if consequence(job):
        return ""
    if _proves_not_null(job):
        return "the column becomes NOT NULL, and this job checks that; fill its rows and use `replank retry`"
    return WHY_NOT.get(job.kind, "it cannot be skipped; use `replank retry`")
