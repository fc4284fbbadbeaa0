"""What the plan asks for and the table has already, but not quite as the plan says."""

from __future__ import annotations

from collections.abc import Sequence

from producer.check.findings import Finding, warning
from producer.planning.already_done import Already


def audit_already(already: Sequence[Already]) -> list[Finding]:
    """A warning for each: the run leaves such a column as it is."""
    return [
        warning(
            "already_differs",
            f"{one.words}, so the run does not change it; {one.differs}",
            hint=one.remedy,
            table=one.table,
            column=one.column,
        )
        for one in already
        if one.differs
    ]
