"""Statements of the check: every value of a chunk in one pass, keys that would collide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg import sql

from replank.chunk import Chunk
from replank.table_spec import ColumnSpec, TableSpec
from sql.connection import Connection, run
from sql.conversion import converted_if_valid, differs_from_spelling, is_convertible
from sql.copying import in_chunk, source
from sql.enum_texts import label_if_text
from sql.next_table import server_text

EXAMPLES = 5
EXAMPLE_LENGTH = 80


@dataclass(kw_only=True)
class ColumnCount:
    """What the values of one column are: how many do not convert, how many are spelled otherwise."""

    bad: int = 0
    odd: int = 0
    bad_examples: list[str] = field(default_factory=list)
    odd_examples: list[str] = field(default_factory=list)

    def add(self, other: ColumnCount) -> None:
        self.bad += other.bad
        self.odd += other.odd
        self.bad_examples = (self.bad_examples + other.bad_examples)[:EXAMPLES]
        self.odd_examples = (self.odd_examples + other.odd_examples)[:EXAMPLES]


def scan_chunk(
    connection: Connection, spec: TableSpec, columns: Sequence[ColumnSpec], chunk: Chunk, version: int
) -> tuple[int, list[ColumnCount]]:
    """Rows of the chunk, and the counts of each column, in one pass.

    `::text` takes char(n)'s padding away first, as the conversion does.
    """
    texts = sql.SQL(", ").join(
        sql.SQL("{}::pg_catalog.text AS {}").format(sql.Identifier("live", c.name), _name("t", n))
        for n, c in enumerate(columns)
    )
    judged = sql.SQL(", ").join(
        sql.SQL("{text}, {valid} AS {name}").format(
            text=_name("t", n), valid=is_convertible(column, _name("t", n), version), name=_name("v", n)
        )
        for n, column in enumerate(columns)
    )
    counted = sql.SQL(", ").join(_counts(n, column) for n, column in enumerate(columns))
    where = in_chunk(spec, chunk)
    # OFFSET 0 keeps the planner from parsing each value once for every use.
    answer = run(
        connection,
        sql.SQL("SELECT count(*), {} FROM (SELECT {} FROM (SELECT {} FROM {} WHERE {}) AS texts OFFSET 0) AS j").format(
            counted, judged, texts, source(spec), where
        ),
    ).fetchone()
    assert answer is not None
    found = [
        ColumnCount(
            bad=answer[4 * n + 1],
            bad_examples=list(answer[4 * n + 2] or ()),
            odd=answer[4 * n + 3],
            odd_examples=list(answer[4 * n + 4] or ()),
        )
        for n in range(len(columns))
    ]
    return answer[0], found


def _counts(number: int, column: ColumnSpec) -> sql.Composed:
    text, valid = _name("t", number), _name("v", number)
    bad = sql.SQL("NOT {}").format(valid)
    odd = sql.SQL("CASE WHEN {} THEN {} END").format(valid, differs_from_spelling(column, text))
    some = sql.SQL("(array_agg(pg_catalog.left({}, {})) FILTER (WHERE {}))[1:{}]")
    return sql.SQL(", ").join(
        part
        for condition in (bad, odd)
        for part in (
            sql.SQL("count(*) FILTER (WHERE {})").format(condition),
            some.format(text, EXAMPLE_LENGTH, condition, EXAMPLES),
        )
    )


def _name(letter: str, number: int) -> sql.Identifier:
    return sql.Identifier(f"{letter}{number}")


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
    parts = [_comparable(by_name[name], sql.Identifier("live", name), version) for name in key]
    aliased = sql.SQL(", ").join(sql.SQL("{} AS {}").format(part, _name("k", n)) for n, part in enumerate(parts))
    names = sql.SQL(", ").join(_name("k", n) for n in range(len(parts)))
    comparable = [
        sql.SQL("{} IS NOT NULL").format(_name("k", n))
        for n, name in enumerate(key)
        if by_name[name].converted or not nulls_equal
    ]
    spelled = sql.SQL(" || ', ' || ").join(
        sql.SQL("coalesce(pg_catalog.left({}::text, {}), 'NULL')").format(sql.Identifier("live", name), EXAMPLE_LENGTH)
        for name in key
    )
    statement = sql.SQL(
        "SELECT count(*) OVER () AS keys, spellings FROM ("
        " SELECT string_agg('(' || spelled || ')', ' and ' ORDER BY spelled) AS spellings"
        " FROM (SELECT {aliased}, {spelled} AS spelled FROM {source} WHERE {predicate}) AS rows"
        " WHERE {comparable} GROUP BY {names} HAVING count(*) > 1) AS twice LIMIT {limit}"
    ).format(
        aliased=aliased,
        spelled=spelled,
        source=source(spec),
        predicate=server_text(predicate or "true"),
        comparable=sql.SQL(" AND ").join(comparable) if comparable else sql.SQL("true"),
        names=names,
        limit=EXAMPLES,
    )
    found = run(connection, statement).fetchall()
    return Collisions(keys=found[0][0] if found else 0, examples=tuple(spellings for _, spellings in found))


def _comparable(column: ColumnSpec, reference: sql.Composable, version: int) -> sql.Composable:
    """A live value so that it equals another where both become the same. An enum's type need not be there yet."""
    if column.enum:
        return label_if_text(column, reference)
    return converted_if_valid(column, reference, version) if column.converted else reference
