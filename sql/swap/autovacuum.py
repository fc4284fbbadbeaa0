"""Autovacuum around the cutover: it gives way only to a lock that waits longer than deadlock_timeout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import errors
from psycopg.sql import SQL, Composable, Identifier

from replank.errors import TryAgain
from replank.values.table_spec import TableSpec
from sql.catalogue.catalogue import still_there
from sql.session.connection import Connection, apply_settings, rows, run, value
from sql.session.named_queries import query
from sql.session.table_names import live_table

LONGER_THAN_DEADLOCK_MS = 2_000

Settings = Mapping[str, str | None]
"""autovacuum_enabled of heaps by oid; None where it is not set."""


@dataclass(frozen=True, kw_only=True)
class LiveAutovacuum:
    """Autovacuum of the tables that one swap moves: off during attempts, and then what it was before.

    `remembered` is what the ledger has of it: None where it was not switched off, or was given back since. `remember`
    writes there. So the next process after one that was killed can restore it.
    """

    connection: Connection
    specs: Sequence[TableSpec]
    remembered: Settings | None
    remember: Callable[[Settings | None], None]

    @contextmanager
    def off(self, *, stays_off: bool, also: Sequence[TableSpec] = ()) -> Iterator[Settings]:
        """For one attempt, which gives it back itself where it succeeds; gives what it was before.

        With `stays_off` it is left off after an attempt that fails, until `give_back`: the next one comes soon, and a
        vacuum that began meanwhile would be in its way. Tables of `also` are disabled too, and keep
        their setting from the swap's own script. Raises TryAgain while a table cannot be switched.
        """
        before = self.remembered
        if before is None:
            # First the ledger: what is not remembered must not be switched.
            before = autovacuum_settings(self.connection, self.specs)
            self.remember(before)
        try:
            quiet_autovacuum(self.connection, [*self.specs, *also])
            yield before
        except BaseException:
            if not stays_off and not self.connection.closed:
                restore_autovacuum(self.connection, self.specs, before)
                self.remember(None)
            raise

    def give_back(self) -> None:
        """As it was, for the tables that are still there; nothing where it was not switched off."""
        if self.remembered is not None:
            restore_autovacuum(self.connection, self.specs, self.remembered)
            self.remember(None)


def autovacuum_settings(connection: Connection, specs: Sequence[TableSpec]) -> Settings:
    """autovacuum_enabled of the live heaps by oid; None where it is not set."""
    return {
        str(heap.oid): value(connection, query("cutover.autovacuum_setting"), {"oid": heap.oid})
        for spec in specs
        for heap in spec.heaps
    }


def quiet_autovacuum(connection: Connection, specs: Sequence[TableSpec]) -> None:
    """Switch autovacuum off for the live tables. Raises TryAgain while one cannot be moved.

    This waits longer than the cutover ever would, but for a lock that keeps no reader or writer out;
    a running autovacuum is cancelled by it, unless it guards against wraparound.
    """
    wait = value(
        connection,
        SQL("SELECT setting::int + {} FROM pg_settings WHERE name = 'deadlock_timeout'").format(
            LONGER_THAN_DEADLOCK_MS
        ),
    )
    heaps = [heap for spec in specs for heap in spec.heaps]
    oids = [heap.oid for heap in heaps]
    for vacuum in rows(connection, query("cutover.vacuums"), {"oids": oids}):
        if vacuum["wraparound"]:
            raise TryAgain(
                f"a vacuum of {vacuum['table']} (pid {vacuum['pid']}) prevents wraparound; the cutover waits for it"
            )
    for heap in heaps:
        if value(connection, query("cutover.autovacuum_setting"), {"oid": heap.oid}) == "false":
            continue
        try:
            with connection.transaction():
                apply_settings(connection, {"lock_timeout": f"{wait}ms"}, local=True)
                connection.execute(SQL("ALTER TABLE {} SET (autovacuum_enabled = false)").format(live_table(heap)))
        except errors.LockNotAvailable:
            raise TryAgain(f"a vacuum or DDL holds {heap.full_name}; the cutover waits for it") from None


def restore_autovacuum(connection: Connection, specs: Sequence[TableSpec], before: Settings) -> None:
    """Give the live tables that are still there their own autovacuum setting back."""
    for heap in still_there(connection, [heap for spec in specs for heap in spec.heaps]):
        run(connection, autovacuum_statement(live_table(heap), before.get(str(heap.oid))))


def autovacuum_statement(table: Identifier, setting: str | None) -> Composable:
    """Set autovacuum_enabled, or take it away where it was not set."""
    if setting is None:
        return SQL("ALTER TABLE {} RESET (autovacuum_enabled)").format(table)
    return SQL("ALTER TABLE {} SET (autovacuum_enabled = {})").format(table, setting)
