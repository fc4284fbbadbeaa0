"""Partitions of a table in use: new ones in front, old ones away, each under a short lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from replank.errors import NeedsOperator
from replank.values.table_spec import Relation
from sql.next_table.builder import OF_ROOTS
from sql.session.connection import Connection, apply_settings, row, rows, run, value
from sql.session.named_queries import query
from sql.session.table_names import live_table, server_text
from sql.values.conversion import type_name

WAIT_FOR_READERS_MS = 10_000
"""How long a concurrent detach waits for sessions that still use the partition; it blocks none."""

MOVED_AT_ONCE = 10_000
"""Up to so many rows move from the DEFAULT partition into a new one, while the DEFAULT one is locked."""


@dataclass(frozen=True, kw_only=True)
class RangeColumn:
    """The column that a table is partitioned by, and its type as `format_type` writes it."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Partition(Relation):
    """One partition, and what a range (`meets`, `covers`) and a time (`ended`) have to do with it."""

    pending: bool
    is_default: bool
    unclear: bool
    meets: bool
    covers: bool
    ended: bool


def range_column(connection: Connection, oid: int) -> RangeColumn | None:
    """None where the table is not partitioned by the range of one column."""
    found = row(connection, query("layout.range_column"), {"oid": oid})
    return None if found is None else RangeColumn(**found)


def partitions(
    connection: Connection, oid: int, column: RangeColumn, *, limits: tuple[str, str], cut: str | None
) -> list[Partition]:
    """Direct partitions, the oldest first, each with a half-open range and a time (exclusive end of what is old).

    Raises NeedsOperator if a bound is not what a single column's bound looks like.
    """
    statement = query("layout.ranges").format(type=type_name(column.type))
    asked = {"oid": oid, "lower": limits[0], "upper": limits[1], "cut": cut}
    found = [Partition(**one) for one in rows(connection, statement, asked)]
    unclear = [one.full_name for one in found if one.unclear]
    if unclear:
        raise NeedsOperator(f"Cannot read the bounds of {', '.join(unclear)}. Nothing was changed.")
    return found


def rows_of_range(connection: Connection, partition: Relation, column: RangeColumn, limits: tuple[str, str]) -> int:
    """How many rows of the range a partition holds; not counted beyond one more than may be moved."""
    found = value(
        connection,
        SQL("SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT {}) AS counted").format(
            live_table(partition), _in_range(column, limits), MOVED_AT_ONCE + 1
        ),
    )
    return int(found)


def _in_range(column: RangeColumn, limits: tuple[str, str]) -> Composable:
    return SQL("{0} >= {1}::{3} AND {0} < {2}::{3}").format(Identifier(column.name), *limits, type_name(column.type))


@dataclass(frozen=True, kw_only=True)
class Noticing:
    """A foreign key or trigger that would take a row's move into another partition for its end.

    `what` says it in words; `reverse_capture` is one of Replank's own.
    """

    what: str
    reverse_capture: bool


def notices_moves(connection: Connection, table: Relation, partition: Relation) -> list[Noticing]:
    asked = {"oids": [table.oid, partition.oid], "partition": partition.oid}
    return [Noticing(**found) for found in rows(connection, query("layout.notices_moves"), asked)]


def create_partition(connection: Connection, table: Relation, made: Relation, *, like: Relation | None) -> None:
    """A table of its own, not yet a part: with options, owner and statistics targets of a sibling."""
    stored: Composable = SQL("")
    method = None if like is None else value(connection, query("next_table.access_method"), {"oid": like.oid})
    if method is not None:
        stored = SQL("USING {}").format(Identifier(method))
    connection.execute(
        SQL(
            "CREATE TABLE {} (LIKE {} INCLUDING COMPRESSION INCLUDING CONSTRAINTS INCLUDING DEFAULTS"
            " INCLUDING GENERATED INCLUDING STORAGE) {}"
        ).format(live_table(made), live_table(table), stored)
    )
    if like is not None:
        asked = {"oid": like.oid, "schema": made.schema, "name": made.name}
        options = rows(connection, query("next_table.option_targets") + query("next_table.options"), asked)
        for option in (one for one in options if one["n"] not in OF_ROOTS):
            connection.execute(server_text(option["statement"]))


def attach_partition(connection: Connection, table: Relation, made: Relation, bound: str) -> None:
    """Readers and writers of the other partitions continue; the DEFAULT one is scanned under its lock."""
    connection.execute(
        SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(live_table(table), live_table(made), server_text(bound))
    )


def lock_table(connection: Connection, table: Relation, *, readers_too: bool) -> None:
    """Keep writers (or all sessions) from beginning a statement of the table, before anything else is locked.

    A statement finds the partitions when it has the table's lock. One that had it, and waited for the DEFAULT
    partition alone, would continue with the partitions of before: its row would be refused, and a row that moved
    meanwhile would be missed. Readers need not wait where no row moves: what they miss was not there when they began.
    """
    mode = SQL("ACCESS EXCLUSIVE" if readers_too else "SHARE ROW EXCLUSIVE")
    connection.execute(SQL("LOCK TABLE ONLY {} IN {} MODE").format(live_table(table), mode))


def lock_partition(connection: Connection, partition: Relation) -> None:
    connection.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(live_table(partition)))


def move_rows(
    connection: Connection, source: Relation, made: Relation, column: RangeColumn, limits: tuple[str, str]
) -> int:
    """Move the range's rows, in the caller's transaction. Returns how many they were."""
    names = [str(one["name"]) for one in rows(connection, query("layout.stored_columns"), {"oid": source.oid})]
    listed = SQL(", ").join(map(Identifier, names))
    return run(
        connection,
        SQL(
            "WITH moved AS (DELETE FROM {source} WHERE {range} RETURNING {listed})"
            " INSERT INTO {made} ({listed}) OVERRIDING SYSTEM VALUE SELECT {listed} FROM moved"
        ).format(source=live_table(source), range=_in_range(column, limits), listed=listed, made=live_table(made)),
    ).rowcount


def detach_partition(connection: Connection, table: Relation, gone: Partition, *, concurrently: bool) -> None:
    """Concurrently it cannot be in a transaction, nor while there is a DEFAULT partition; begun before, it ends."""
    how = SQL("CONCURRENTLY" if concurrently else "")
    if gone.pending:
        how = SQL("FINALIZE")
    connection.execute(SQL("ALTER TABLE {} DETACH PARTITION {} {}").format(live_table(table), live_table(gone), how))


def drop_detached(connection: Connection, gone: Relation) -> None:
    connection.execute(SQL("DROP TABLE {}").format(live_table(gone)))


def taken(connection: Connection, made: Relation) -> bool:
    """Whether a relation of that name is there already."""
    return bool(value(connection, query("catalogue.existing_relation"), {"schema": made.schema, "name": made.name}))


def short_locks(connection: Connection, *, lock_timeout_ms: int, statement_timeout_ms: int, local: bool) -> None:
    settings = {"lock_timeout": f"{lock_timeout_ms}ms", "statement_timeout": f"{statement_timeout_ms}ms"}
    apply_settings(connection, settings, local=local)


def newest(present: Sequence[Partition]) -> Partition | None:
    """The one whose options a new partition gets: the newest range, else the DEFAULT one."""
    ranges = [one for one in present if not one.is_default]
    return ranges[-1] if ranges else next(iter(present), None)
