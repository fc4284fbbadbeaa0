"""The lock that keeps writers out and lets readers go on: free tables first, then those that are waited for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from sql.hold_clock import one_statement

MODE: LiteralString = "SHARE ROW EXCLUSIVE"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """`before` are statements that lock what comes first (views, sources); `tables` all that writers may not enter."""

    tables: Sequence[tuple[str, str]]
    before: Sequence[sql.Composable] = ()

    def script(self, busy: Collection[int]) -> sql.Composable:
        """One statement. `busy` are places (from 1) of tables that others hold.

        While a lock is waited for, whoever comes finds every table locked but these: else there were always a newer
        transaction on one that is not asked for yet.
        """
        free = [name for place, name in enumerate(self.tables, start=1) if place not in busy]
        held = [name for place, name in enumerate(self.tables, start=1) if place in busy]
        names = sql.SQL(", ").join(sql.Identifier(*name) for name in [*free, *held])
        lock = sql.SQL("LOCK TABLE {} IN {} MODE").format(names, sql.SQL(MODE))
        return one_statement(sql.SQL(";\n").join([*self.before, lock])) if self.before else lock
