"""Statements of the check: every value of a chunk in one pass, keys that would collide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from replank.values.chunk import Chunk
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.rows.copy import in_chunk, source
from sql.session.connection import Connection, run
from sql.session.table_names import server_text
from sql.values.conversion import comparable_if_valid, differs_from_spelling, is_convertible

EXAMPLES = 5
EXAMPLE_LENGTH = 80
RECENT_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class Recency:
    """How recent rows are recognised: by a column of times, by its block, or (with neither) not at all."""

    column: str = ""
    first_block: int | None = None

    @property
    def known(self) -> bool:
        return bool(self.column) or self.first_block is not None


@dataclass(kw_only=True)
class Recent:
    """Of some counted values: how many stand in recent rows, and in rows without a time; the newest time of all.

    `newest_s` is in seconds since 1970; None where there is no time.
    """

    count: int = 0
    undated: int = 0
    newest_s: float | None = None

    def add(self, other: Recent) -> None:
        self.count += other.count
        self.undated += other.undated
        self.newest_s = max((s for s in (self.newest_s, other.newest_s) if s is not None), default=None)


@dataclass(kw_only=True)
class ColumnCount:
    """What the values of one column are: how many do not convert, how many are not canonical."""

    bad: int = 0
    odd: int = 0
    bad_examples: list[str] = field(default_factory=list)
    """Different ones, as those of `odd_examples`."""
    odd_examples: list[str] = field(default_factory=list)
    bad_recent: Recent = field(default_factory=Recent)
    odd_recent: Recent = field(default_factory=Recent)

    def add(self, other: ColumnCount) -> None:
        self.bad += other.bad
        self.odd += other.odd
        self.bad_examples = list(dict.fromkeys(self.bad_examples + other.bad_examples))[:EXAMPLES]
        self.odd_examples = list(dict.fromkeys(self.odd_examples + other.odd_examples))[:EXAMPLES]
        self.bad_recent.add(other.bad_recent)
        self.odd_recent.add(other.odd_recent)


def scan_chunk(
    connection: Connection,
    spec: TableSpec,
    columns: Sequence[ColumnSpec],
    chunk: Chunk,
    version: int,
    recency: Sequence[Recency] = (),
) -> tuple[int, list[ColumnCount]]:
    """Rows of the chunk, and the counts of each column, in one pass. `recency` has one for each column, or none.

    `::text` takes char(n)'s padding away first, as the conversion does.
    """
    recency = recency or [Recency()] * len(columns)
    texts = [
        SQL("{}::pg_catalog.text AS {}").format(Identifier("live", c.name), _name("t", n))
        for n, c in enumerate(columns)
    ]
    # A column of times is read once, whichever columns are counted by it.
    times = {each: _name("w", n) for n, each in enumerate(dict.fromkeys(each for each in recency if each.known))}
    placed = [SQL("{} AS {}").format(Identifier("live", each.column or "ctid"), name) for each, name in times.items()]
    judged = [
        SQL("{text}, {valid} AS {name}").format(
            text=_name("t", n), valid=is_convertible(column, _name("t", n), version), name=_name("v", n)
        )
        for n, column in enumerate(columns)
    ]
    spelled = [
        SQL("{text}, {valid}, CASE WHEN {valid} THEN {differs} END AS {name}").format(
            text=_name("t", n),
            valid=_name("v", n),
            differs=differs_from_spelling(column, _name("t", n), version),
            name=_name("o", n),
        )
        for n, column in enumerate(columns)
    ]
    counted = [_counts(n, recency[n], times.get(recency[n])) for n in range(len(columns))]
    # OFFSET 0 keeps the planner from parsing each value once for every use.
    statement = SQL(
        "SELECT count(*), {} FROM (SELECT {} FROM (SELECT {} FROM (SELECT {} FROM {} WHERE {}) AS texts OFFSET 0)"
        " AS judged OFFSET 0) AS spelled"
    )
    comma = SQL(", ")
    answer = run(
        connection,
        statement.format(
            comma.join(counted),
            comma.join([*spelled, *times.values()]),
            comma.join([*judged, *times.values()]),
            comma.join([*texts, *placed]),
            source(spec),
            in_chunk(spec, chunk),
        ),
    ).fetchone()
    assert answer is not None
    rest = iter(answer[1:])
    return answer[0], [_count_of(rest) for _ in columns]


def _count_of(answer: Iterator[Any]) -> ColumnCount:
    """The next column's figures, in the order of `_counts`."""
    made = ColumnCount()
    made.bad, made.bad_examples, made.bad_recent = next(answer), list(next(answer) or ()), _recent_of(answer)
    made.odd, made.odd_examples, made.odd_recent = next(answer), list(next(answer) or ()), _recent_of(answer)
    return made


def _recent_of(answer: Iterator[Any]) -> Recent:
    return Recent(count=next(answer), undated=next(answer), newest_s=next(answer))


def _counts(number: int, recency: Recency, time: Identifier | None) -> Composed:
    text, odd = _name("t", number), _name("o", number)
    bad = SQL("NOT {}").format(_name("v", number))
    some = SQL("(array_agg(DISTINCT pg_catalog.left({}, {})) FILTER (WHERE {}))[1:{}]")
    return SQL(", ").join(
        part
        for condition in (bad, odd)
        for part in (
            SQL("count(*) FILTER (WHERE {})").format(condition),
            some.format(text, EXAMPLE_LENGTH, condition, EXAMPLES),
            _recent(condition, recency, time),
        )
    )


def _recent(condition: Composable, recency: Recency, time: Identifier | None) -> Composable:
    """Three figures of a `Recent`, of the rows that fulfil a condition."""
    if time is None:
        return SQL("0, 0, NULL::pg_catalog.float8")
    if not recency.column:
        place = Literal(f"({recency.first_block},0)")
        words = "count(*) FILTER (WHERE {} AND {} >= {}::pg_catalog.tid), 0, NULL::pg_catalog.float8"
        return SQL(words).format(condition, time, place)
    return SQL(
        # The moment is asked for once in a statement, as a subquery.
        "count(*) FILTER (WHERE {condition} AND {time} >= (SELECT now() - pg_catalog.make_interval(days => {days}))),"
        " count(*) FILTER (WHERE {condition} AND {time} IS NULL),"
        " (extract(epoch FROM max({time}) FILTER (WHERE {condition})))::pg_catalog.float8"
    ).format(condition=condition, time=time, days=Literal(RECENT_DAYS))


def _name(letter: str, number: int) -> Identifier:
    return Identifier(f"{letter}{number}")


@dataclass(frozen=True, kw_only=True)
class Collisions:
    """Keys that several rows would share: how many, and a few of them as rows of their spellings."""

    keys: int
    examples: tuple[str, ...]


def find_collisions(
    connection: Connection,
    spec: TableSpec,
    key: Sequence[str],
    *,
    predicate: str | None,
    nulls_equal: bool,
    version: int,
) -> Collisions:
    """Values of a unique key that become the same. Values that do not convert are left out."""
    by_name = {column.name: column for column in spec.columns}
    parts = [comparable_if_valid(by_name[name], Identifier("live", name), version) for name in key]
    aliased = SQL(", ").join(SQL("{} AS {}").format(part, _name("k", n)) for n, part in enumerate(parts))
    names = SQL(", ").join(_name("k", n) for n in range(len(parts)))
    comparable = [
        SQL("{} IS NOT NULL").format(_name("k", n))
        for n, name in enumerate(key)
        if by_name[name].converted or not nulls_equal
    ]
    spelled = SQL(" || ', ' || ").join(
        SQL("coalesce(pg_catalog.left({}::text, {}), 'NULL')").format(Identifier("live", name), EXAMPLE_LENGTH)
        for name in key
    )
    statement = SQL(
        "SELECT count(*) OVER () AS keys, spellings FROM ("
        " SELECT string_agg('(' || spelled || ')', ' and ' ORDER BY spelled) AS spellings"
        " FROM (SELECT {aliased}, {spelled} AS spelled FROM {source} WHERE {predicate}) AS rows"
        " WHERE {comparable} GROUP BY {names} HAVING count(*) > 1) AS twice LIMIT {limit}"
    ).format(
        aliased=aliased,
        spelled=spelled,
        source=source(spec),
        predicate=server_text(predicate or "true"),
        comparable=SQL(" AND ").join(comparable) if comparable else SQL("true"),
        names=names,
        limit=EXAMPLES,
    )
    found = run(connection, statement).fetchall()
    return Collisions(keys=found[0][0] if found else 0, examples=tuple(spellings for _, spellings in found))
