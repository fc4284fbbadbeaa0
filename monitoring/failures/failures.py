"""What needs the operator: failed jobs, each with what to do next, and grouped by their cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.status.suggestions import suggestion
from monitoring.terminal.output import people
from replank.values.states import JobKind
from replank.wording import counted
from sql.ledger.jobs import job_reports
from sql.ledger.jobs.job_reports import FailedJob
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Failed jobs of one table and kind that one error has stopped; `example` is the first of them."""

    table: str
    kind: str
    error_class: str
    sqlstate: str
    jobs: tuple[int, ...]
    example: FailedJob

    @property
    def next_step(self) -> str:
        """The suggestion with the command for these very jobs."""
        return next_step(self.example)


def next_step(failure: FailedJob) -> str:
    """What to do about a failed job."""
    return suggestion(failure.error_class, job=failure.job_id, row=failure.row)


def read_failures(connection: Connection, run: Run) -> list[FailedJob]:
    return job_reports.read_failures(connection, run.run_id)


def failures_json(failures: Sequence[FailedJob]) -> list[dict[str, Any]]:
    """`job, step, table, kind, range, row, attempts, class, sqlstate, message, suggestion` of each."""
    return [{**failure.to_json(), "suggestion": next_step(failure)} for failure in failures]


def by_cause(failures: Sequence[FailedJob]) -> list[Cause]:
    """The same grouped by table, kind and error, the most frequent first."""
    groups: dict[tuple[str, JobKind, str, str], list[FailedJob]] = {}
    for failure in failures:
        key = (failure.name, failure.kind, failure.error_class or "", failure.sqlstate or "")
        groups.setdefault(key, []).append(failure)
    causes = [
        Cause(
            table=table,
            kind=kind,
            error_class=error_class,
            sqlstate=sqlstate,
            jobs=tuple(each.job_id for each in found),
            example=found[0],
        )
        for (table, kind, error_class, sqlstate), found in groups.items()
    ]
    return sorted(causes, key=lambda cause: (-len(cause.jobs), cause.jobs[0]))


def render_failures(failures: Sequence[FailedJob]) -> None:
    """For people: a paragraph for each cause."""
    console = people()
    for cause in by_cause(failures):
        example = cause.example
        count = f"{len(cause.jobs):,} jobs, for example " if len(cause.jobs) > 1 else ""
        console.print(f"[bold]{cause.error_class or 'error'} {cause.sqlstate}[/]: {count}job {example.job_id}")
        console.print(f"  {cause.kind} {cause.table} {example.range}", markup=False, soft_wrap=True)
        console.print(f"  {counted(example.attempt, 'attempt')}: {example.message}", markup=False, soft_wrap=True)
        console.print(f"  next: {cause.next_step}", markup=False, soft_wrap=True)
        if len(cause.jobs) > 1:
            named = cause.sqlstate or f'"{cause.error_class}"'
            console.print(
                f"  all of them: replank retry --table {cause.table} --cause {named}", markup=False, soft_wrap=True
            )
    if not failures:
        console.print("No job needs the operator.")
