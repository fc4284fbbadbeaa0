"""By psql as in a run: the state of capture when both tables were compared is checked again under the lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import psycopg
from psycopg.sql import SQL, Composable

from replank.values.table_spec import TableSpec
from sql.rows.capture import EACH_ROW, EACH_STATEMENT
from sql.rows.capture_continuity import captured_table, named, reverse_captured_table
from sql.scripts.psql_script import regclass, with_semicolon
from sql.session.connection import Connection
from sql.session.named_queries import query
from sql.session.table_names import live_table

Way = Literal["forward", "back"]

KEPT = (
    "CREATE TABLE IF NOT EXISTS replank.capture_facts"
    " (way text, table_no int, lines text[] NOT NULL, PRIMARY KEY (way, table_no));"
)
GONE = "DROP TABLE IF EXISTS replank.capture_facts;"


def _now(connection: Connection, specs: Sequence[TableSpec], way: Way) -> SQL:
    """The query for it: by names alone, because a script may be read on one database and run on another."""
    subjects = [
        replace(captured_table(spec), oid=None) if way == "forward" else reverse_captured_table(spec) for spec in specs
    ]
    text = psycopg.ClientCursor(connection).mogrify(query("capture_facts.read"), named(subjects))
    return SQL(text)  # composed by the driver from our own query


def record_standing(connection: Connection, spec: TableSpec, way: Way) -> str:
    """In the transaction that compares both sides: it sees the moment that is compared."""
    return with_semicolon(
        SQL(
            "INSERT INTO replank.capture_facts SELECT {}, found.table_no, found.lines FROM ({}) AS found"
            " ON CONFLICT (way, table_no) DO UPDATE SET lines = excluded.lines"
        ).format(way, _now(connection, [spec], way))
    )


def capture_disabled(spec: TableSpec) -> Composable:
    """The condition that triggers of forward capture are missing on the table, or on any partition do not fire."""
    ours = "p.proname = {} AND p.pronamespace = 'replank'::regnamespace"
    found = (
        "SELECT count(*) FILTER (WHERE t.tgrelid = {0} AND t.tgenabled IN ('A', 'R'))"
        " - count(*) FILTER (WHERE t.tgenabled NOT IN ('A', 'R'))"
        " FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
        " WHERE (t.tgrelid = {0} OR t.tgrelid IN (SELECT relid FROM pg_partition_tree({0})))"
    )
    wanted = EACH_STATEMENT if spec.capture == "statement" else EACH_ROW
    return SQL("({} AND {}) <> {}").format(
        SQL(found).format(SQL(regclass(live_table(spec)))), SQL(ours).format(spec.capture_name), len(wanted)
    )


def changed_since(connection: Connection, specs: Sequence[TableSpec], way: Way) -> Composable:
    """The query for a row where something has touched capture since; alone, attributes say nothing of rows."""
    return SQL(
        "SELECT string_agg(DISTINCT split_part(line, ' ', 1), ', ')"
        " FROM ({}) AS present LEFT JOIN replank.capture_facts s ON s.way = {} AND s.table_no = present.table_no,"
        " unnest(coalesce(s.lines, '{{never compared}}')) AS line"
        " WHERE line <> ALL (present.lines) AND line NOT LIKE 'attributes %' HAVING count(*) > 0"
    ).format(_now(connection, specs, way), way)


def refusal_words(specs: Sequence[TableSpec]) -> str:
    names = ", ".join(spec.full_name for spec in specs)
    return (
        f"{names}: since both tables were compared, capture was disabled or bypassed, or a table was rewritten. "
        "Run the script again from the block that compares them. What was changed: "
    )
