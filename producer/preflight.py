"""What `run` itself refuses, whether or not anybody called `check`: all that can be known without reading rows."""

from __future__ import annotations

from producer.audit.check import structural_findings
from producer.resolution import PlanFile, Resolved
from replank.errors import NeedsPerson
from sql.connection import Connection


def refuse_blockers(connection: Connection, file: PlanFile, resolved: Resolved) -> None:
    """Raises NeedsPerson with every blocker. The values need no look here: a bad one stops its own job."""
    blockers = [finding for finding in structural_findings(connection, file, resolved) if finding.blocks]
    if blockers:
        lines = [f"  {finding.code} {finding.words}" for finding in blockers]
        raise NeedsPerson("The run did not begin and nothing was changed:\n" + "\n".join(lines))
