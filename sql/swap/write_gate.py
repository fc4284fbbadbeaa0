"""The lock that blocks writers and lets readers continue: free tables first, then those that are waited for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg.sql import SQL, Composable, Identifier

from sql.swap.hold_clock import one_statement

MODE: LiteralString = "SHARE ROW EXCLUSIVE"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """`before` are statements that lock what comes first (views, sources); `tables` all that writers may not enter."""

    tables: Sequence[tuple[str, str]]
    before: Sequence[Composable] = ()

    def script(self, busy: Collection[int]) -> Composable:
        """One statement. `busy` are places (from 1) of tables that others hold.

        While a lock is waited for, a new session finds every table locked but these: else there were always a newer
        transaction on one that is not asked for yet.
        """
        free = [name for place, name in enumerate(self.tables, start=1) if place not in busy]
        held = [name for place, name in enumerate(self.tables, start=1) if place in busy]
        names = SQL(", ").join(Identifier(*name) for name in [*free, *held])
        lock = SQL("LOCK TABLE {} IN {} MODE").format(names, SQL(MODE))
        return one_statement(SQL(";\n").join([*self.before, lock])) if self.before else lock
