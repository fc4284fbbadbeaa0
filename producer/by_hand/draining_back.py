"""What was written since the swap goes into the past tables: the statements of a drain, for the inside of DO blocks."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from sql.by_hand import COUNT, block, counted_none, lines, said
from sql.change_log import FEW_KEYS
from sql.connection import Connection
from sql.pair import Pair, was_table
from sql.reverse_capture import back_log
from sql.reverse_drain import counted_mismatches, logged_vanished, taken_back


def drained_at_once(connection: Connection, pairs: Sequence[Pair]) -> list[str]:
    """One drain of these tables, each as a block, for a transaction that sees one moment of them all."""
    return [block("\n".join([said(_analyze(pair)), drained_back(connection, pair)]), declare=COUNT) for pair in pairs]


def _analyze(pair: Pair) -> sql.Composable:
    return sql.SQL("ANALYZE {}").format(back_log(pair.spec))


def drained_back(connection: Connection, pair: Pair) -> str:
    """The statements of one drain, in a block that declares COUNT. At one snapshot, or with all writers kept out."""
    truncated = sql.SQL("EXISTS (SELECT FROM {} WHERE truncated)").format(back_log(pair.spec)).as_string(None)
    words = f" rows of {pair.spec.full_name} differ after their drain"
    return "\n".join(
        [
            f"  IF {truncated} THEN\n    {said(logged_vanished(connection, pair))}\n  END IF;",
            lines(taken_back(connection, pair)),
            counted_none(counted_mismatches(connection, pair), words),
            lines(sql.SQL("DELETE FROM {}").format(name) for name in (was_table(pair.spec), back_log(pair.spec))),
        ]
    )


def drained_shortly(connection: Connection, pairs: Sequence[Pair]) -> str:
    """As `drained_back` for all of them, for logs that are short: by the indexes, never through a whole table."""
    settings = [sql.SQL("SET LOCAL {} TO {}").format(sql.Identifier(name), value) for name, value in FEW_KEYS.items()]
    reset = [sql.SQL("SET LOCAL {} TO DEFAULT").format(sql.Identifier(name)) for name in FEW_KEYS]
    return "\n".join([lines(settings), *(drained_back(connection, pair) for pair in pairs), lines(reset)])


def logged_changes(pairs: Sequence[Pair]) -> sql.Composable:
    """The query for how many rows are in the logs of these tables."""
    counts = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT count(*) AS n FROM {}").format(back_log(pair.spec)) for pair in pairs
    )
    return sql.SQL("SELECT sum(n) FROM ({}) AS logs").format(counts)
