"""Whether anything is asked for before the data migration."""

from __future__ import annotations

from producer.check.findings import Finding, warning
from producer.planning.prepared_run import PreparedRun


def audit_gates(audited: PreparedRun) -> list[Finding]:
    plan = audited.file.plan
    if plan.gates is None and (plan.tables or plan.caches):
        return [
            warning(
                "no_gates",
                "the plan has no [gates]: no backup, rehearsal, window or attestation is required",
                hint="Add [gates] to the plan; an empty section requires the whole checklist.",
            )
        ]
    return []
