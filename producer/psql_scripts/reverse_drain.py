"""What was written since the swap goes into the past tables: the statements of a drain, for the inside of DO blocks."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Identifier

from sql.rollback.reverse_drain import counted_mismatches, drain_statements, logged_vanished
from sql.rollback.table_pair import TablePair, was_table
from sql.rows.change_log import FEW_KEYS
from sql.rows.reverse_capture import reverse_log
from sql.scripts.psql_script import COUNT, block, counted_none, lines, with_semicolon
from sql.session.connection import Connection


def drained_at_once(connection: Connection, pairs: Sequence[TablePair]) -> list[str]:
    """One drain of these tables, each as a block, for a transaction that sees one moment of them all."""
    return [
        block("\n".join([with_semicolon(_analyze(pair)), reverse_drained(connection, pair)]), declare=COUNT)
        for pair in pairs
    ]


def _analyze(pair: TablePair) -> Composable:
    return SQL("ANALYZE {}").format(reverse_log(pair.spec))


def reverse_drained(connection: Connection, pair: TablePair) -> str:
    """The statements of one drain, in a block that declares COUNT. At one snapshot, or with all writers kept out."""
    truncated = SQL("EXISTS (SELECT FROM {} WHERE truncated)").format(reverse_log(pair.spec)).as_string(None)
    words = f" rows of {pair.spec.full_name} differ after their drain"
    return "\n".join(
        [
            f"  IF {truncated} THEN\n    {with_semicolon(logged_vanished(connection, pair))}\n  END IF;",
            lines(drain_statements(connection, pair)),
            counted_none(counted_mismatches(connection, pair), words),
            lines(SQL("DELETE FROM {}").format(name) for name in (was_table(pair.spec), reverse_log(pair.spec))),
        ]
    )


def drained_shortly(connection: Connection, pairs: Sequence[TablePair]) -> str:
    """As `reverse_drained` for all of them, for logs that are short: by the indexes, never through a whole table."""
    settings = [SQL("SET LOCAL {} TO {}").format(Identifier(name), value) for name, value in FEW_KEYS.items()]
    reset = [SQL("SET LOCAL {} TO DEFAULT").format(Identifier(name)) for name in FEW_KEYS]
    return "\n".join([lines(settings), *(reverse_drained(connection, pair) for pair in pairs), lines(reset)])


def logged_changes(pairs: Sequence[TablePair]) -> Composable:
    """The query for how many rows are in the logs of these tables."""
    counts = SQL(" UNION ALL ").join(
        SQL("SELECT count(*) AS n FROM {}").format(reverse_log(pair.spec)) for pair in pairs
    )
    return SQL("SELECT sum(n) FROM ({}) AS logs").format(counts)
