"""The governor's signals before the run: what cannot be read would close its window for ever."""

from __future__ import annotations

from producer.check.findings import Finding, blocker, warning
from producer.dispatch.governor import read_machine
from producer.planning.prepared_run import PreparedRun
from sql.health.health_signals import read_health
from sql.session.connection import Connection


def audit_health(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """Signals that cannot be read, and those that are over their limits now."""
    found: list[Finding] = []
    for reading in read_health(connection, audited.file.plan.governor, read_machine(connection)):
        if reading.problem:
            message = f"the governor cannot read signal {reading.signal}, so it would start no job"
            found.append(blocker("signal_unreadable", message, hint=f"{reading.problem}.", signal=reading.signal))
        elif reading.strain > 1:
            message = f"the governor would start no job now: {reading.words}"
            hint = f"Correct this, or raise the limit of {reading.signal} in [governor] of the plan."
            found.append(warning("signal_over_limit", message, hint=hint, signal=reading.signal))
    return found
