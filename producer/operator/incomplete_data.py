"""What an operator should know of a run's data before the swap: what is quarantined, failed, skipped."""

from __future__ import annotations

from replank.values.states import JobState
from sql.ledger.jobs import failed, job_reports
from sql.ledger.runs.runs import Run
from sql.ledger.tables import quarantines, tables
from sql.session.connection import Connection

SHOWN_TABLES = 12


def incomplete_data(connection: Connection, run: Run) -> tuple[str, ...]:
    """A line each; also where there is nothing of the kind."""
    aside = {number: rows for number, rows in quarantines.quarantined_rows(connection, run.run_id).items() if rows}
    lines = ["Quarantined: no row."]
    if aside:
        names = {table.table_no: table.spec.full_name for table in tables.read_tables(connection, run.run_id)}
        of = ", ".join(f"{names[number]} {rows:,}" for number, rows in list(aside.items())[:SHOWN_TABLES])
        total = sum(aside.values())
        lines = [f"Quarantined: {total:,} {'row' if total == 1 else 'rows'} missing in the new tables: {of}."]
    count = job_reports.count_by_state(connection, run.run_id)[JobState.FAILED]
    lines.append(f"Failed: {count:,} {'job' if count == 1 else 'jobs'}." if count else "Failed: no job.")
    left_out = len(failed.left_out(connection, run.run_id))
    if left_out:
        lines.append(f"Skipped for good by an operator: {left_out:,} {'job' if left_out == 1 else 'jobs'}.")
    return tuple(lines)
