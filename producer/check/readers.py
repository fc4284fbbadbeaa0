"""Roles that the plan lets read the run: one that is not there would end the run's beginning."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from producer.check.findings import Finding, blocker
from sql.access.readers import missing_readers, other_roles
from sql.session.connection import Connection


def audit_readers(connection: Connection, readers: Sequence[str]) -> list[Finding]:
    """`readers` of `[access]` that do not exist, all in one finding."""
    missing = missing_readers(connection, readers)
    if not missing:
        return []
    known = other_roles(connection)
    meant = [
        f"Did you mean {nearest[0]} instead of {name}? "
        for name in missing
        if (nearest := get_close_matches(name, known, n=1))
    ]
    words = f"role {missing[0]} does" if len(missing) == 1 else f"roles {', '.join(missing)} do"
    return [
        blocker(
            "reader_missing",
            f"[access] readers: {words} not exist on this server",
            hint=f"{''.join(meant)}Create what is missing (docs/roles.md), or remove it from the plan.",
            roles=missing,
        )
    ]
