"""Before past tables are dropped: both sides are compared once more, row by row."""

from __future__ import annotations

from collections.abc import Callable

from producer.rollback.compare import compare_tables
from replank.errors import NeedsOperator
from replank.wording import counted
from sql.ledger.runs.runs import Run
from sql.ledger.tables import tables
from sql.session.connection import Connection
from sql.swap.drop_retained import read_retained

ANYWAY = "`replank finish --without-proof` drops the past tables, the only other copy, without this comparison."


def refuse_unproved(connection: Connection, run: Run, say: Callable[[str], None]) -> None:
    """Raises NeedsOperator where a past table and the one in its place differ, or cannot be compared.

    It reads both sides of every table once, at one snapshot for each table; keys that are logged for a rollback are
    left out. Nothing is compared where the plan allows no rollback: then the past tables are not kept equal.
    """
    if not run.plan.options.reverse_capture:
        say(
            "the past tables are not compared: the plan says `reverse_capture = false`, so changes were not "
            "captured for them"
        )
        return
    specs = [table.spec for table in tables.read_tables(connection, run.run_id) if table.spec.method == "rebuild"]
    kept = {spec.full_name for spec in specs if read_retained(connection, [(spec.past_schema, spec.name)])}
    against: list[str] = []
    for one in compare_tables(connection, run):
        if one.name not in kept:
            continue
        if one.mismatches is None:
            against.append(f"{one.name} was not compared: {one.why}")
        elif one.mismatches:
            against.append(
                f"{one.name}: {counted(one.mismatches, 'key', 'differs')} between the past "
                f"table ({counted(one.rows_live or 0, 'row')}) and the one in its place "
                f"({counted(one.rows_next or 0, 'row')}), and no captured change explains it: {one.named}"
            )
        else:
            say(f"{one.name}: past and new table are equal in {counted(one.rows_live or 0, 'row')}; {one.left_out}")
    if against:
        raise NeedsOperator(
            f"{'; '.join(against)}. Nothing was dropped. Were partitions dropped or attached, was the past table "
            f"written to, or was capture disabled since the cutover? `replank verify` compares again. {ANYWAY}"
        )
