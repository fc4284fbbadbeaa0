"""How long a swap's script will hold its locks, asked before: event triggers run for each of its statements."""

from __future__ import annotations

import time
from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Identifier

from replank.wording import counted
from sql.session.connection import Connection, apply_settings, run
from sql.session.passing_errors import LOCK_MISSED

PROBES = 3
AT_LEAST_MS = 0.1


def statements_in(script: Composable) -> int:
    """How many statements a script has that was joined by `;` and a line's end."""
    return script.as_string(None).count(";\n") + 1


def statement_ms(connection: Connection, tables: Sequence[Identifier], *, lock_timeout_ms: int) -> float:
    """What one ALTER TABLE costs here, in milliseconds: the shortest of some, on tables that no other session uses.

    All of it is rolled back.
    """
    found: list[float] = []
    try:
        with connection.transaction(force_rollback=True):
            apply_settings(connection, {"lock_timeout": f"{lock_timeout_ms}ms"}, local=True)
            for table in list(tables)[:PROBES]:
                began = time.monotonic()
                run(connection, SQL("ALTER TABLE {} SET (autovacuum_enabled = false)").format(table))
                found.append((time.monotonic() - began) * 1000)
    except LOCK_MISSED:
        pass
    return max(min(found, default=AT_LEAST_MS), AT_LEAST_MS)


def too_long(statements: int, each_ms: float, hold_ms: int) -> str:
    """Why the swap is not worth trying; empty where it is."""
    if statements * each_ms <= hold_ms:
        return ""
    return (
        f"the swap has about {counted(statements, 'statement')}, and an ALTER TABLE takes {each_ms:.1f} ms in this "
        f"database: the locks would be held for about {statements * each_ms:,.0f} ms, and cutover_hold_budget_ms is "
        f"{hold_ms}. Look for a slow event trigger, or raise that option in the plan"
    )
