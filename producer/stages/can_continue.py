"""Whether a run can continue without the operator, and what the operator has to do."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from monitoring.status.suggestions import first_step
from replank.values.states import TableState
from replank.wording import counted
from sql.ledger.jobs import failed
from sql.ledger.jobs.job_reports import Unfinished
from sql.ledger.runs.restraints import Restraint
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection


def can_continue(
    present: Sequence[RunTable], sets: Sequence[ConversionSet], unfinished: Mapping[int, Unfinished]
) -> bool:
    """Whether anything can happen without the operator."""
    if any(jobs_of.running for jobs_of in unfinished.values()):
        return True
    stuck = {
        table.table_no
        for table in present
        if table.blocked or (table.table_no in unfinished and unfinished[table.table_no].failed)
    }
    if any(table.table_no not in stuck and table.state not in (TableState.READY, TableState.DONE) for table in present):
        return True
    return any(
        conversion_set.swapped_at is None
        and not conversion_set.blocked
        and all(
            table.table_no not in stuck and table.state is TableState.READY
            for table in present
            if table.set_no == conversion_set.set_no
        )
        for conversion_set in sets
    )


def stop_reasons(
    present: Sequence[RunTable],
    sets: Sequence[ConversionSet],
    unfinished: Mapping[int, Unfinished],
    of_caches: Sequence[str] = (),
) -> str:
    """Why the run needs the operator, table by table and cache by cache."""
    reasons = [table.problem for table in present if table.blocked]
    reasons += [
        f"{table.spec.full_name}: {jobs_failed(unfinished[table.table_no].failed)}, see `replank failures`"
        for table in present
        if table.table_no in unfinished and unfinished[table.table_no].failed
    ]
    reasons += [s.problem for s in sets if s.blocked]
    reasons += of_caches
    return "; ".join(reasons)


def jobs_failed(count: int) -> str:
    """In words."""
    return f"{counted(count, 'job')} failed"


def how_to_continue(connection: Connection, run_id: int, held_back: Sequence[Restraint]) -> str:
    """Exactly what frees the run, cause by cause: what to do first, and the command after it."""
    commands = [f"{first}, then `{command}`" for first, command in _by_cause(connection, run_id)] or ["`replank retry`"]
    commands += [f"`{r.freed_by}`" for r in held_back if r.kind == "pause"]
    return f". To continue: {'; '.join(commands)}; then `replank run PLAN`"


def _by_cause(connection: Connection, run_id: int) -> list[tuple[str, str]]:
    """For each cause of failed jobs, what removes it, and the `retry` of its jobs."""
    return [
        (first_step(cause.error_class), f"replank retry --cause {cause.sqlstate or shlex.quote(cause.error_class)}")
        for cause in failed.causes(connection, run_id)
        if cause.error_class or cause.sqlstate
    ]
