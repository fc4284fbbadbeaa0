"""Whether the server's lock table has room for the transactions that touch every planned table at once."""

from __future__ import annotations

from collections.abc import Iterator

from producer.check.findings import Finding, blocker
from producer.planning.prepared_run import PreparedRun
from replank.wording import counted
from sql.session.connection import Connection, row
from sql.session.named_queries import query

LOCKS_OF_A_HEAP = 4
"""The live one, the next one, its TOAST table and that one's index."""

SHARE_OF_LOCKS = 0.7
"""What one transaction may take of all: others need locks too."""


def audit_locks(connection: Connection, audited: PreparedRun) -> Iterator[Finding]:
    """A cutover locks all tables of its set with their partitions and indexes, and the trial those of the plan."""
    found = row(connection, query("layout.locks_needed"), {"oids": audited.relation_oids})
    assert found is not None
    needed = LOCKS_OF_A_HEAP * found["relations"] + found["indexes"]
    room = found["sessions"] * found["setting"]
    if needed <= SHARE_OF_LOCKS * room:
        return
    wanted = int(needed / SHARE_OF_LOCKS / found["sessions"]) + 1
    yield blocker(
        "locks_short",
        f"{counted(found['relations'], 'planned table')} and partitions have {counted(found['indexes'], 'index')}, so "
        f"one transaction needs about {counted(needed, 'lock')}; the server has room for {room:,}: "
        f"max_locks_per_transaction ({found['setting']}) times max_connections and max_prepared_transactions "
        f"({found['sessions']})",
        hint=f"Run Run ALTER SYSTEM SET max_locks_per_transaction = {wanted}, and restart the server.",
        needed=needed,
        room=room,
        max_locks_per_transaction=wanted,
    )
