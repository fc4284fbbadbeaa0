"""What an earlier run of the same plan has done already, because other steps were switched off in it."""

from __future__ import annotations

from collections.abc import Iterable

from replank.plan.plan import Plan
from replank.plan.tables.table_plan import TablePlan
from sql.ledger.runs import runs
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import Connection


def still_to_do(connection: Connection, plan: Plan) -> list[tuple[int, TablePlan]]:
    """The plan's wanted tables, with their places in the file, without what is done.

    Done is what a run of a plan of this name has ended with, in the same words, while steps were off in it.
    """
    earlier = runs.runs_with_steps_off(connection, plan.name) if ledger_exists(connection) else []
    found = [(number, planned, _left(planned, (run.plan for run in earlier))) for number, planned in plan.wanted_tables]
    return [(n, left) for n, planned, left in found if left.says_something or not planned.says_something]


def _left(planned: TablePlan, earlier: Iterable[Plan]) -> TablePlan:
    left = planned
    for plan in earlier:
        for done in (done for _, done in plan.wanted_tables if done.full_name == planned.full_name):
            left = left.model_copy(
                update={
                    "columns": tuple(column for column in left.columns if column not in done.columns),
                    "add": tuple(column for column in left.add if column not in done.add),
                    "fill": tuple(column for column in left.fill if column not in done.fill),
                    "partition": None if left.partition == done.partition else left.partition,
                }
            )
    return left
