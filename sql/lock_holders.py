"""Who holds locks on tables that ours wait for, in words: sessions, and prepared transactions, which have none."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from sql.connection import Connection, rows
from sql.named import query


def blockers(connection: Connection, oids: Sequence[int], *, waited_s: float) -> list[str]:
    """Who has held locks on these relations all the while that was waited, for people."""
    named = {"oids": list(oids), "seconds": waited_s}
    sessions = [
        f"pid {b['pid']} ({b['application'] or 'no name'}, {b['state']}"
        f", transaction open {b['seconds']:.1f} s): {b['query']}"
        for b in rows(connection, query("cutover.blockers"), named)
    ]
    return [*prepared_transactions(connection, oids, waited_s=waited_s), *sessions]


def prepared_transactions(connection: Connection, oids: Sequence[int], *, waited_s: float) -> list[str]:
    """They hold their locks until somebody ends them, through restarts too, and belong to no session."""
    found = rows(connection, query("cutover.prepared_blockers"), {"oids": list(oids), "seconds": waited_s})
    return [
        f"prepared transaction {b['gid']} of role {b['owner']}, {b['seconds']:.1f} s old: end it by "
        f"COMMIT PREPARED {sql.quote(b['gid'])} or ROLLBACK PREPARED {sql.quote(b['gid'])}"
        for b in found
    ]
