"""What `replank verify` finds goes into the ledger: differences hold the cutover until a later look finds none."""

from __future__ import annotations

from collections.abc import Iterable

from producer.rollback.compare import COMPLETE, Comparison
from replank.wording import counted, verb
from sql.access.roles import read_login
from sql.ledger.runs.events import add_event
from sql.ledger.runs.runs import Run
from sql.ledger.tables import tables, verifications
from sql.session.connection import Connection

HELD = "its cutover is held until the run's verification or another `replank verify` finds no difference"
KEPT = "`replank finish` compares again, and drops no past table if one differs"


def record_differences(connection: Connection, run: Run, found: Iterable[Comparison]) -> list[str]:
    """Keep it for each table that was compared. Returns what follows from it, a line for each table that differs."""
    me = read_login(connection)
    if me is not None and not me.owns:
        words = f"role {me.login} may not hold the cutover: ask the operator to run `replank verify`"
        return [f"{one.name}: {words}" for one in found if one.mismatches]
    present = {table.spec.full_name: table for table in tables.read_tables(connection, run.run_id)}
    held: list[str] = []
    for one in found:
        spec = present[one.name].spec
        if one.mismatches is None:
            continue
        if not one.mismatches:
            if verifications.trust(connection, spec):
                _add_event(
                    connection, run, one.name, "`replank verify` found no difference: the cutover is no longer held"
                )
            continue
        words = f"`replank verify` found {counted(one.mismatches, 'key')} that {verb(one.mismatches, 'differs')}"
        with connection.transaction():
            if verifications.doubt(connection, spec, words):
                _add_event(connection, run, one.name, words)
                before_the_swap = present[one.name].state in COMPLETE
                held.append(f"{one.name}: {HELD if before_the_swap else KEPT}")
    return held


def _add_event(connection: Connection, run: Run, name: str, words: str) -> None:
    add_event(connection, run.run_id, actor="operator", kind="verification", subject=name, message=words)
