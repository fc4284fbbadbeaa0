"""A next table by psql: created, captured for, filled chunk by chunk, drained, indexed, verified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from psycopg.sql import SQL

from producer.psql_scripts import capture_checks
from producer.psql_scripts.pass_tables import Work, label
from replank.values.chunk import Side
from replank.values.table_spec import TableSpec
from sql.drain.drain import counted_mismatches, delete_from_next, insert_into_next, logged_vanished
from sql.drain.verification import not_logged, summed
from sql.next_table.builder import create_next
from sql.next_table.index_selection import next_indexes, stand_on_indexes
from sql.next_table.indexes import IndexSpec, build_index, plain_patterns
from sql.next_table.on_update_trigger import create_on_update
from sql.rows import capture
from sql.rows.change_log import log_table
from sql.rows.collisions import logged_rows, logged_texts, remembered_odd, twins_in_log, twins_in_next
from sql.rows.copy import copy_where, source
from sql.scripts.psql_script import (
    at_one_snapshot,
    in_loop,
    lines,
    lock_patiently,
    over_blocks,
    refuse_count,
    refuse_if,
    refuse_rows,
    refuse_unequal,
    transaction,
    with_semicolon,
)
from sql.scripts.psql_script import block as do
from sql.scripts.script_templates import Block
from sql.session.connection import Connection
from sql.session.statements import Statement, printed, sketched
from sql.session.table_names import live_table, next_table
from sql.values.conversion import ComparedBy

SIDES: tuple[Side, Side] = ("live", "next")

CHUNK_BLOCKS = 4_096
"""32 MB of the longest heap in one transaction."""


@dataclass(frozen=True, kw_only=True)
class NextTable:
    """What creates a next table, its indexes, and what depends on these."""

    table: list[Statement]
    indexes: list[tuple[IndexSpec, list[Statement]]]
    standing: list[Statement]


def sketched_table(connection: Connection, spec: TableSpec) -> NextTable:
    """Composed by building it, empty, in the caller's scratch: its definitions are asked of the server."""
    table = sketched(connection, create_next(connection, spec)) + sketched(connection, create_on_update(spec))
    found = next_indexes(connection, spec)
    indexes = [(index, sketched(connection, [build_index(asdict(index))])) for index in found]
    standing = sketched(connection, stand_on_indexes(connection, spec, found))
    return NextTable(table=table, indexes=indexes, standing=standing)


def built(connection: Connection, work: Work, spec: TableSpec, sketch: NextTable) -> Iterator[Block]:
    """The blocks of one table up to its swap."""
    yield label(spec, "the next table, empty and without indexes", transaction(lines(printed(sketch.table))))
    only = SQL("" if spec.partitioned else "ONLY ")
    lock = SQL("LOCK TABLE {}{} IN SHARE ROW EXCLUSIVE MODE").format(only, live_table(spec))
    patient = lock_patiently(lock, attempts=work.options.capture_attempts)
    captured = lines(printed(capture.install(connection, spec)))
    yield label(
        spec,
        "from here on, triggers write the keys of changed rows to the change log",
        transaction(patient, captured),
    )
    yield _copied(connection, spec)
    yield label(
        spec, "the first drain: the next table is as the live table is now", at_one_snapshot(*drained(connection, spec))
    )
    yield from _indexed(connection, spec, sketch)
    yield label(spec, "statistics of the next table", f"VACUUM (ANALYZE) {next_table(spec).as_string(None)};")
    yield from _verified(connection, spec)


def _copied(connection: Connection, spec: TableSpec) -> Block:
    only = SQL("" if spec.partitioned else "ONLY ")
    pinned = SQL("LOCK TABLE {}{} IN ACCESS SHARE MODE").format(only, live_table(spec))
    chunk = copy_where(spec, in_loop(), connection.info.server_version)
    looped = over_blocks(spec.heaps, with_semicolon(pinned), f"    {with_semicolon(chunk)}", blocks=CHUNK_BLOCKS)
    words = "rows are copied and converted, chunk by chunk in a loop over blocks"
    return label(spec, words, looped)


def drained(connection: Connection, spec: TableSpec, *, compare: bool = False) -> list[str]:
    """The statements of one drain, for the inside of a transaction that sees one moment."""
    version = connection.info.server_version
    truncated = SQL("EXISTS (SELECT FROM {} WHERE truncated)").format(log_table(spec)).as_string(None)
    everything = logged_vanished(spec, version)
    if not spec.partitioned:
        everything = delete_from_next(connection, spec, everything=True)
    made = [do(f"  IF {truncated} THEN\n    {with_semicolon(everything)}\n  END IF;")]
    if spec.key_converted:
        made.append(with_semicolon(logged_texts(spec, version)))
        made.append(with_semicolon(remembered_odd(spec, logged_rows(spec), SQL("true"), version)))
        words = f"{spec.full_name}: rows with different texts become the same uuid: "
        made.append(refuse_rows(twins_in_log(spec, version), words))
    made += [
        with_semicolon(delete_from_next(connection, spec, everything=False)),
        with_semicolon(insert_into_next(connection, spec)),
    ]
    if compare:
        words = f" rows of {spec.full_name} differ after their drain"
        made.append(refuse_count(counted_mismatches(connection, spec), words))
    return [*made, with_semicolon(SQL("DELETE FROM {}").format(log_table(spec)))]


def _indexed(connection: Connection, spec: TableSpec, sketch: NextTable) -> Iterator[Block]:
    for pattern in plain_patterns(connection, spec).values():
        # Nothing to execute: it tells the reader of the script what is not in it.
        yield label(spec, f"index for LIKE {' '.join(pattern.name.split())}: {pattern.fate}", "")
    for index, made in sketch.indexes:
        yield label(spec, f"index {' '.join(index.name.split())}", transaction(lines(printed(made))))
    if sketch.standing:
        standing_on = transaction(lines(printed(sketch.standing)))
        yield label(spec, "constraints that use these indexes, and what else depends on them", standing_on)


def _verified(connection: Connection, spec: TableSpec) -> Iterator[Block]:
    """Values are compared at once: a script cannot compare texts first."""
    version = connection.info.server_version
    live, built_anew = (
        summed(spec, side, not_logged(connection, spec, side), ComparedBy.VALUES, version) for side in SIDES
    )
    words = f"{spec.full_name}: live and next table differ: "
    parts = [
        refuse_if(
            capture_checks.capture_disabled(spec), f"{spec.full_name}: its capture triggers were dropped or disabled"
        ),
        capture_checks.record_standing(connection, spec, "forward"),
        *drained(connection, spec, compare=True),
    ]
    if spec.key_converted:
        parts.append(with_semicolon(remembered_odd(spec, source(spec), SQL("true"), version)))
    parts.append(refuse_unequal(live, built_anew, words))
    if spec.key_converted and not spec.key_stays_unique:
        twins = f"{spec.full_name}: rows with different texts become the same uuid: "
        parts.append(refuse_rows(twins_in_next(spec), twins))
    body = f"{capture_checks.KEPT}\n{at_one_snapshot(*parts)}"
    yield label(spec, "verified: count and hash of all rows, at one snapshot", body)
