"""Whether anything that a run executes belongs to another role, which would be lent this role's rights by it."""

from __future__ import annotations

from producer.check.findings import Finding, blocker, warning
from producer.planning.foreign_code import ForeignCode


def audit_foreign_code(code: ForeignCode | None, *, trusted: bool) -> list[Finding]:
    """The one finding on it: a warning where the plan trusts these functions."""
    if code is None:
        return []
    kind = warning if trusted else blocker
    return [
        kind(
            "foreign_code",
            code.message,
            hint="Connect as the tables' owner, or as a role that has no more rights. If you trust these functions "
            'and the roles that can replace them, set consent = ["foreign_functions"] in [options].',
            functions=[{"function": function, "owner": owner} for function, owner in code.functions],
        )
    ]
