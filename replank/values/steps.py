"""The twelve steps, in the order in which they run, and the phases between whose barriers they stand."""

from __future__ import annotations

from dataclasses import dataclass

PHASES = {1: "additions", 2: "schema", 3: "data migration", 4: "cleanup"}

DATA_PHASE = 3
"""The phase of the passes over the tables: every job is one of it. The view `replank.job_restraint` says it in SQL."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A numbered unit with a forward script and a rollback script. `undo` says what the rollback does."""

    number: int
    what: str
    undo: str
    phase: int

    @property
    def name(self) -> str:
        """E.g. `02-add-missing-indexes`."""
        return f"{self.number:02}-{self.what}"

    @property
    def rollback_name(self) -> str:
        """E.g. `rollback-02-remove-indexes`."""
        return f"rollback-{self.number:02}-{self.undo}"


def _step(number: int, what: str, undo: str, phase: int) -> Step:
    return Step(number=number, what=what, undo=undo, phase=phase)


STEPS = (
    _step(1, "add-uuid-fields", "remove-uuid-fields", 1),
    _step(2, "add-missing-indexes", "remove-indexes", 1),
    _step(3, "add-audit-tables", "remove-audit-tables", 1),
    _step(4, "add-cache-tables", "remove-cache-tables", 1),
    _step(5, "fix-enum-mappings", "restore-enum-mappings", 1),
    _step(6, "update-prisma-schema", "restore-prisma-schema", 2),
    _step(7, "add-table-mappings", "remove-table-mappings", 2),
    _step(8, "migrate-uuid-types", "restore-text-ids", 3),
    _step(9, "populate-audit-fields", "empty-audit-fields", 3),
    _step(10, "setup-partitioning", "remove-partitioning", 3),
    _step(11, "drop-deprecated", "nothing-comes-back", 4),
    _step(12, "optimize-indexes", "restore-indexes", 4),
)

BY_NAME = {step.name: step for step in STEPS}
