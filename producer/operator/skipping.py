"""Leaving a failed job out for good, where that loses nothing, or is reported for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from producer.operator.operator import Operator
from producer.operator.retrying import Selection, chosen
from producer.operator.saying import note, refuse_rolling_back
from replank.errors import WrongUse
from replank.values.states import JobKind, RunState
from replank.wording import counted
from sql.ledger.jobs import failed
from sql.ledger.jobs.failed import JobStory
from sql.ledger.runs import runs
from sql.ledger.runs.runs import Run
from sql.next_table.foreign_keys import is_partition
from sql.session.connection import Connection

MAY_BE_SKIPPED: Mapping[JobKind, str] = {
    JobKind.VACUUM: "autovacuum will see to the table later",
}

CACHE_WORK_THAT_MAY = {
    "prewarm": "it is read into memory when it is used",
    "redis": "stale keys stay until they expire",
    "refresh": "the materialized view stays as it was before the run",
    "vacuum": "autovacuum will see to the table later",
    "validate": "its foreign key stays NOT VALID: old rows are not proved, new ones are checked",
}

WHY_NOT: Mapping[JobKind, str] = {
    JobKind.COPY: "its rows would be missing in the new table; correct the row that is named and `replank retry`, or "
    "`replank retry --smaller` first, which leaves that row alone",
    JobKind.BACKFILL: "its rows would stay unfilled; correct the row that is named and `replank retry`, or "
    "`replank retry --smaller` first, which leaves that row alone",
    JobKind.DRAIN: "changes of the application would be missing in the new table; correct what the message names and "
    "`replank retry`",
    JobKind.VERIFY: "nobody would know whether both tables are equal; `replank retry`",
    JobKind.REPAIR: "rows that differ would stay different; `replank retry`",
    JobKind.INDEX: "the new table would be slower than the old one, or a key of it would not be unique; correct what "
    "the message names and `replank retry`",
    JobKind.CACHE: "the cache would not hold what its query gives; correct the plan's cache and run again",
}


def skip(connection: Connection, run: Run, job_ids: Sequence[int], reason: str, *, by: Operator) -> str:
    """Leave failed jobs out. All of them, or none where one may not be. The reason stays in the ledger and report."""
    refuse_rolling_back(run)
    if not reason.strip():
        raise WrongUse("Say why with --reason: it is kept for good.")
    if not job_ids:
        raise WrongUse("Say which jobs, by the ids that `replank failures` shows.")
    found = chosen(connection, run, Selection(job_ids=tuple(dict.fromkeys(job_ids))))
    refused = [
        f"job {job.job_id} ({job.kind} of {job.name}): {why}" for job in found if (why := _refusal(connection, job))
    ]
    if refused:
        raise WrongUse(f"Nothing was left out. May not be skipped: {'; '.join(refused)}.")
    with connection.transaction():
        for job in found:
            words = f"{reason} ({by.name}); {consequence(job)}"
            failed.leave_out(connection, run.run_id, [job.job_id], words)
            note(connection, run, by, "skip", subject=f"job {job.job_id}: {job.kind} of {job.name}", message=words)
        runs.set_run_state(connection, run.run_id, RunState.RUNNING, "")
    told = "; ".join(f"job {job.job_id}: {consequence(job)}" for job in found)
    return (
        f"Run {run.run_id}: {counted(len(found), 'job', 'is')} left out for good. {told}. Go on with `replank "
        "run PLAN`."
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
        return "the partitioned table's own key stands on this one; correct its rows and `replank retry`"
    if consequence(job):
        return ""
    if _proves_not_null(job):
        return "the column shall be NOT NULL, and this proves it; fill its rows and `replank retry`"
    return WHY_NOT.get(job.kind, "it cannot be left out; `replank retry`")
