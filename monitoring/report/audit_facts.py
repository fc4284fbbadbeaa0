"""The audit log when a report is made: its gaps, what was changed since it was proved, what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replank.values.measurement import MeasuredTable, Measurement, Moment, changed_parts
from sql.ledger.runs.runs import Run
from sql.measurement import measure
from sql.session.connection import Connection

EVERY_WRITE = ("insert", "update", "delete", "truncate")


@dataclass(frozen=True, kw_only=True)
class AuditFacts:
    """All of it as it is now.

    `audited` is how many tables the log has to capture. `gaps` are audited tables of which some writes are not
    captured, each with words. `changed` is what the proof stood on and is another now, each with its table (empty:
    all tables). `left_out` are tables that no trigger of the log captures because the plan does not name them;
    `later` are those of them that were not there before the run.
    """

    audited: int = 0
    gaps: tuple[tuple[str, str], ...] = ()
    changed: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()
    later: frozenset[str] = frozenset()


def read_audit(
    connection: Connection,
    run: Run,
    *,
    measured: Sequence[MeasuredTable],
    known: Mapping[Moment, Measurement],
    audited: Sequence[str],
) -> AuditFacts:
    """`measured` are the tables of the plan's schemas now, `audited` those that the log has to capture."""
    asked = run.plan.steps.audit_log
    if asked is None:
        return AuditFacts()
    captured = measure.audited(connection, asked.table_schema)
    lacking = {table: [w for w in EVERY_WRITE if w not in captured.get(table, ())] for table in audited}
    proved = known["after"].audit_parts if "after" in known else None
    cache = run.plan.steps.permission_cache
    ours = {asked.table_schema, cache.table_schema if cache is not None else asked.table_schema}
    ours -= {table.table_schema for table in run.plan.tables}
    left_out = [
        table.full_name
        for table in measured
        if table.schema not in ours
        and table.full_name not in set(audited)
        and len(captured.get(table.full_name, ())) < len(EVERY_WRITE)
    ]
    return AuditFacts(
        audited=len(lacking),
        gaps=tuple(
            (table, f"no enabled trigger captures {', '.join(writes)} now")
            for table, writes in lacking.items()
            if writes
        ),
        changed=()
        if proved is None
        else tuple(changed_parts(proved, measure.audit_parts(connection, asked.table_schema))),
        left_out=tuple(left_out),
        later=frozenset(_later(run, left_out, known.get("before"))),
    )


def _later(run: Run, names: Sequence[str], before: Measurement | None) -> set[str]:
    """Those that were not there before the run, by their name of then or the one that step 07 gave them."""
    if before is None:
        return set()
    there = {table.full_name for table in before.tables}
    mappings = run.plan.steps.mappings
    if mappings is not None:
        there |= {f"{table.schema}.{mappings.table_to(table.schema, table.name)}" for table in before.tables}
    return set(names) - there
