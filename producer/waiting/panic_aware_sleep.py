"""The sleep of an operator's command between two attempts: afterwards it checks whether `panic` was called.

A panic cancels statements. A command that sleeps has none, and would simply continue.
"""

from __future__ import annotations

from collections.abc import Callable

from replank.errors import NeedsOperator
from sql.ledger.runs.gates import server_now
from sql.ledger.runs.restraints import in_force
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection


def panic_aware_sleep(
    connection: Connection, run: Run, sleep: Callable[[float], None], *, command: str
) -> Callable[[float], None]:
    """`sleep`, and then NeedsOperator where a panic has been called since now; one of before is known to who calls."""
    began = server_now(connection)

    def rest(seconds: float) -> None:
        sleep(seconds)
        if any(held.cause == "panic" and held.since >= began for held in in_force(connection, run.run_id)):
            raise NeedsOperator(
                f"Run {run.run_id} was stopped by `replank panic`. What was done before stays done. `replank resume`, "
                f"then `{command}` again."
            )

    return rest
