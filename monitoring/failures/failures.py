"""What needs the operator: failed jobs, each with what to do next, and grouped by their cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.status.suggestions import suggestion
from monitoring.terminal.output import people
from replank.wording import counted
from sql.ledger.jobs import job_reports
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
    example: dict[str, Any]

    @property
    def next_step(self) -> str:
        """The suggestion with the command for these very jobs."""
        suggested: str = self.example["suggestion"]
        return suggested


def read_failures(connection: Connection, run: Run) -> list[dict[str, Any]]:
    """Failed jobs: `job, step, table, kind, range, row, attempts, class, sqlstate, message, suggestion`."""
    return [
        {**failure, "suggestion": suggestion(failure["class"], job=failure["job"], row=failure["row"])}
        for failure in job_reports.read_failures(connection, run.run_id)
    ]


def by_cause(failures: Sequence[dict[str, Any]]) -> list[Cause]:
    """The same grouped by table, kind and error, the most frequent first."""
    groups: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
    for failure in failures:
        key = (failure["table"], failure["kind"], failure["class"] or "", failure["sqlstate"] or "")
        groups.setdefault(key, []).append(failure)
    causes = [
        Cause(
            table=table,
            kind=kind,
            error_class=error_class,
            sqlstate=sqlstate,
            jobs=tuple(each["job"] for each in found),
            example=found[0],
        )
        for (table, kind, error_class, sqlstate), found in groups.items()
    ]
    return sorted(causes, key=lambda cause: (-len(cause.jobs), cause.jobs[0]))


def render_failures(failures: Sequence[dict[str, Any]]) -> None:
    """For people: a paragraph for each cause."""
    console = people()
    for cause in by_cause(failures):
        example = cause.example
        count = f"{len(cause.jobs):,} jobs, for example " if len(cause.jobs) > 1 else ""
        console.print(f"[bold]{cause.error_class or 'error'} {cause.sqlstate}[/]: {count}job {example['job']}")
        console.print(f"  {cause.kind} {cause.table} {example['range']}", markup=False, soft_wrap=True)
        console.print(
            f"  {counted(example['attempts'], 'attempt')}: {example['message']}", markup=False, soft_wrap=True
        )
        console.print(f"  next: {cause.next_step}", markup=False, soft_wrap=True)
        if len(cause.jobs) > 1:
            named = cause.sqlstate or f'"{cause.error_class}"'
            console.print(
                f"  all of them: replank retry --table {cause.table} --cause {named}", markup=False, soft_wrap=True
            )
    if not failures:
        console.print("No job needs the operator.")
