"""Rows of a quarantine on their way back: corrected in the live table, or looked at again by the next drain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum

from psycopg import sql

from replank.table_spec import TableSpec
from sql.change_log import log_keys, log_table
from sql.connection import Connection, run
from sql.conversion import own_texts_valid, type_name
from sql.next_table import live_table
from sql.quarantine import quarantine_table


class Corrected(StrEnum):
    """What became of one correction."""

    DONE = "done"
    NOT_THERE = "not there"
    """The row is gone, or its value is another one by now."""
    STILL_INVALID = "still invalid"


def correct(
    connection: Connection, spec: TableSpec, key: Sequence[str], column: str, *, before: str | None, value: str
) -> Corrected:
    """Put a value into the live row, in the caller's transaction: capture logs it, as any write of the application's.

    `before` is what the row had when it was kept aside; it may have the new value already, by a cascade.
    """
    only = sql.SQL("" if spec.partitioned else "ONLY ")
    same = sql.SQL(" AND ").join(
        sql.SQL("live.{} = {}::{}").format(sql.Identifier(c.name), text, type_name(c.live_type))
        for c, text in zip(spec.key_columns, key, strict=True)
    )
    live_type = next(c.live_type for c in spec.columns if c.name == column)
    found = run(
        connection,
        sql.SQL(
            "UPDATE {only}{table} AS live SET {column} = {value}::{type}"
            " WHERE {same} AND (live.{column}::pg_catalog.text IS NOT DISTINCT FROM {before}"
            " OR live.{column}::pg_catalog.text = {value}) RETURNING {valid}"
        ).format(
            only=only,
            table=live_table(spec),
            column=sql.Identifier(column),
            value=value,
            type=type_name(live_type),
            same=same,
            before=before,
            valid=own_texts_valid(spec, "live", connection.info.server_version),
        ),
    ).fetchone()
    if found is None:
        return Corrected.NOT_THERE
    return Corrected.DONE if found[0] else Corrected.STILL_INVALID


def kept_value(connection: Connection, spec: TableSpec, key: Sequence[str], column: str) -> tuple[bool, str | None]:
    """Whether such a row is kept aside, and the text of one of its columns as it was kept."""
    found = run(
        connection,
        sql.SQL('SELECT aside."row" ->> {} FROM {} AS aside WHERE aside.key = {}::pg_catalog.jsonb').format(
            column, quarantine_table(spec), sql.Literal(_json(key))
        ),
    ).fetchone()
    return (False, None) if found is None else (True, found[0])


def _json(key: Sequence[str]) -> str:
    return json.dumps(list(key), ensure_ascii=False)


def look_again(connection: Connection, spec: TableSpec) -> int:
    """Log the keys of all that is kept aside of a table: the next drain decides anew. Returns how many rows."""
    keys = sql.SQL(", ").join(log_keys(spec))
    return run(
        connection,
        sql.SQL("INSERT INTO {} ({keys}) SELECT {keys} FROM {}").format(
            log_table(spec), quarantine_table(spec), keys=keys
        ),
    ).rowcount
