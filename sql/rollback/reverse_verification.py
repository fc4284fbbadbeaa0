"""Before the swap back: count and hash of every row, past (converted) against new, at one snapshot.

Keys in the log are left out: their drain brings and compares them. What the run itself filled is not compared.
"""

from __future__ import annotations

from psycopg.sql import SQL, Composable

from sql.rollback.table_pair import TablePair, equal, new_rows, of_log, of_new, past_keys, past_rows, taken_over
from sql.rows.change_log import keys_of, log_keys
from sql.rows.reverse_capture import reverse_log
from sql.session.connection import Connection, run, value
from sql.values.conversion import ComparedBy, row_hash


def differing_rows(connection: Connection, pair: TablePair, *, limit: int = 5) -> list[str]:
    """Some keys whose rows differ, as text; none where the tables say the same.

    In the caller's REPEATABLE READ transaction. Spellings are compared first: that is ten times cheaper.
    """
    logged = int(value(connection, SQL("SELECT count(*) FROM {}").format(reverse_log(pair.spec))))
    past_left, new_left = not_in_log(connection, pair) if logged else (taken_over(pair), SQL("true"))
    for compared_by in (ComparedBy.TEXTS, ComparedBy.VALUES):
        if _sums(connection, pair, compared_by, past_left, new_left):
            return []
    return _examples(connection, pair, past_left, new_left, limit)


def compared(connection: Connection, pair: TablePair) -> tuple[int, int, list[str]]:
    """Rows of the past and of the new table, and the keys that differ, in the caller's REPEATABLE READ transaction."""
    left = not_in_log(connection, pair)
    past, new = (_sum(connection, pair, ComparedBy.VALUES, side, left) for side in ("past", "new"))
    differing = [] if past == new else _examples(connection, pair, *left, limit=None)
    return past[0], new[0], differing


def not_in_log(connection: Connection, pair: TablePair) -> tuple[Composable, Composable]:
    """Conditions on `past` and `new`: the row's key is not in the log."""
    log = SQL("{} AS log").format(reverse_log(pair.spec))
    conditions = [
        SQL("NOT EXISTS (SELECT FROM {} WHERE {})").format(log, equal(pair, keys, of_log(pair)))
        for keys in (past_keys(connection, pair), of_new(pair))
    ]
    return SQL("{} AND {}").format(conditions[0], taken_over(pair)), conditions[1]


def _sums(
    connection: Connection, pair: TablePair, compared_by: ComparedBy, past_left: Composable, new_left: Composable
) -> bool:
    """Whether counts and sums of both sides are equal."""
    past, new = (_sum(connection, pair, compared_by, side, (past_left, new_left)) for side in ("past", "new"))
    return past == new


def _sum(
    connection: Connection, pair: TablePair, compared_by: ComparedBy, side: str, left: tuple[Composable, Composable]
) -> tuple[int, str]:
    """Count and sum of the hashes of one side's rows."""
    found = run(connection, summed(pair, compared_by, side, left, connection.info.server_version)).fetchone()
    assert found is not None
    return found[0], found[1]


def summed(
    pair: TablePair, compared_by: ComparedBy, side: str, left: tuple[Composable, Composable], version: int
) -> Composable:
    """The query for it: one row, the sum as text."""
    table, kept = (past_rows(pair), left[0]) if side == "past" else (new_rows(pair), left[1])
    hashed = row_hash(pair.unchanged, side, version, live=side == "past", compared_by=compared_by)
    return SQL("SELECT count(*), coalesce(sum({}), 0)::text FROM {} WHERE {}").format(hashed, table, kept)


def _examples(
    connection: Connection, pair: TablePair, past_left: Composable, new_left: Composable, limit: int | None
) -> list[str]:
    version = connection.info.server_version
    keys = log_keys(pair.spec)
    sides = []
    for alias, table, left, own in (
        ("past", past_rows(pair), past_left, past_keys(connection, pair)),
        ("new", new_rows(pair), new_left, of_new(pair)),
    ):
        named = SQL(", ").join(SQL("{} AS {}").format(o, k) for o, k in zip(own, keys, strict=True))
        hashed = row_hash(pair.unchanged, alias, version, live=alias == "past")
        sides.append(SQL("(SELECT {}, {} AS hash FROM {} WHERE {})").format(named, hashed, table, left))
    of_past, of_new_one = keys_of(pair.spec, "p"), keys_of(pair.spec, "n")
    either = [SQL("coalesce({}, {})").format(a, b) for a, b in zip(of_past, of_new_one, strict=True)]
    found = run(
        connection,
        SQL(
            "SELECT ROW({keys})::text || CASE WHEN p.hash IS NULL THEN ' (not in the past table)'"
            " WHEN n.hash IS NULL THEN ' (not in the new table)' ELSE '' END"
            " FROM {past} AS p FULL JOIN {new} AS n ON {same} WHERE p.hash IS DISTINCT FROM n.hash LIMIT {limit}"
        ).format(
            keys=SQL(", ").join(either),
            same=equal(pair, of_past, of_new_one),
            past=sides[0],
            new=sides[1],
            limit=limit,
        ),
    ).fetchall()
    return [str(key[0]) for key in found]
