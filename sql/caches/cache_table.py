"""A cache table's next contents: what its query gives, where it may be cut, one chunk of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from psycopg import errors
from psycopg.sql import SQL, Composable, Identifier, Literal

from replank.values.cache_spec import CacheSpec
from sql.catalogue.catalogue import LiveTable
from sql.session.connection import Connection, run, value
from sql.session.named_queries import query
from sql.session.table_names import live_table, next_table
from sql.values.equality_operators import operator

SAMPLED_BLOCKS = 2_000
"""Blocks of the present cache that are sampled for the cuts: a few hundred thousand rows at the most."""


@dataclass(frozen=True, kw_only=True)
class GivenColumn:
    """A column of a query's result, with its type as it is written and as `pg_type` calls it."""

    name: str
    type: str
    type_name: str
    operators: str
    """The schema of the type's own comparison operators."""


def in_parentheses(text: str) -> Composable:
    """A query of the plan as a sub-select called `q`. It may end with a comment, so the line ends too."""
    return SQL("({}\n) AS q").format(SQL(text.strip().rstrip(";")))


def given_columns(connection: Connection, text: str) -> tuple[GivenColumn, ...]:
    """What a query gives, without reading a row. Raises psycopg.Error where the server does not understand it."""
    described = run(connection, SQL("SELECT * FROM {} LIMIT 0").format(in_parentheses(text))).description or []
    return tuple(
        GivenColumn(
            name=column.name,
            type=str(value(connection, query("caches.type_of"), {"oid": column.type_code})),
            type_name=str(value(connection, query("caches.type_name_of"), {"oid": column.type_code})),
            operators=str(value(connection, query("caches.operators_of"), {"oid": column.type_code})),
        )
        for column in described
    )


def columns_against(given: Sequence[GivenColumn], live: LiveTable) -> list[str]:
    """What does not fit between a query's columns and its table's, for people; types are the server's matter."""
    named = [column.name for column in given]
    problems = [f"it gives {name} twice" for name in sorted({n for n in named if named.count(n) > 1})]
    problems += [f"the table has no column {name}" for name in named if live.column(name) is None]
    for column in live.columns:
        if column.name in named:
            if column.generated:
                problems.append(f"{column.name} is a generated column and cannot be given")
        elif column.identity:
            problems.append(f"it must give the identity column {column.name}")
        elif column.default_expr is None and not column.generated:
            problems.append(f"it does not give {column.name}, which has no default")
    return problems


def types_apart(one: str, other: str) -> bool:
    """Whether two types (as `pg_type` calls them) may write one value as different texts."""
    return one != other and not {one, other} <= {"text", "varchar"}


def _columns(names: Sequence[str], alias: str | None = None) -> Composable:
    return SQL(", ").join(Identifier(alias, n) if alias else Identifier(n) for n in names)


def insert_statement(spec: CacheSpec, where: Composable) -> Composable:
    """Rows of the query into the next contents. No parameters: the plan's own text may hold a percent sign."""
    return SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} WHERE {}").format(
        next_table(spec), _columns(spec.given), _columns(spec.given, "q"), in_parentheses(spec.query), where
    )


def fill_chunk(connection: Connection, spec: CacheSpec, detail: Mapping[str, Any]) -> int:
    """Fill the half-open range `[lower, upper)` of the cut column, in the caller's transaction. Returns its rows."""
    return int(run(connection, insert_statement(spec, in_range(spec, detail["lower"], detail["upper"]))).rowcount)


def in_range(spec: CacheSpec, lower: str | None, upper: str | None) -> Composable:
    """None is an open end. Rows that have no value there belong to the first range."""
    cut, typed = Identifier("q", spec.cut_by), SQL(spec.cut_type)
    from_lower, to_upper = (
        None
        if bound is None
        else SQL("{} {} {}::{}").format(cut, operator(spec.cut_operators, name), Literal(bound), typed)
        for name, bound in ((">=", lower), ("<", upper))
    )
    if from_lower is None:
        return SQL("true") if to_upper is None else SQL("({} OR {} IS NULL)").format(to_upper, cut)
    return from_lower if to_upper is None else SQL("{} AND {}").format(from_lower, to_upper)


def cut(connection: Connection, spec: CacheSpec) -> list[str]:
    """Values, in their order, that cut the query's rows into about equal ranges; fewer where there are few values.

    They come from the cache as it is, which has the same values for the most part; from the query itself
    where the cache is empty. Ranges are open at both ends, so a bad cut costs time and nothing else.
    """
    here = Identifier("live", spec.cut_by)
    sampled = SQL("SELECT {}::{} AS v FROM {} AS live TABLESAMPLE SYSTEM ({})").format(
        here, SQL(spec.cut_type), live_table(spec), _percent(connection, spec)
    )
    # What stands in it may be of another type, and no value of the one that the query gives.
    with suppress(errors.DataError, errors.CannotCoerce), connection.transaction():
        found = _quantiles(connection, spec, sampled)
        if found:
            return found
    asked = SQL("SELECT {} AS v FROM {}").format(Identifier("q", spec.cut_by), in_parentheses(spec.query))
    return _quantiles(connection, spec, asked)


def _percent(connection: Connection, spec: CacheSpec) -> float:
    blocks = value(
        connection,
        SQL("SELECT pg_relation_size({}::oid) / current_setting('block_size')::int").format(Literal(spec.oid)),
    )
    return min(100.0, 100.0 * SAMPLED_BLOCKS / max(int(blocks), 1))


def _quantiles(connection: Connection, spec: CacheSpec, values: Composable) -> list[str]:
    """`chunks` - 1 cuts of some values, each once; none among no values."""
    fractions = [number / spec.chunks for number in range(1, spec.chunks)]
    if not fractions:
        return []
    statement = SQL(
        "SELECT b::text FROM (SELECT DISTINCT b FROM unnest((SELECT percentile_disc({}::float8[])"
        " WITHIN GROUP (ORDER BY v) FROM ({}) AS s WHERE v IS NOT NULL)) AS b) AS cuts ORDER BY cuts.b"
    ).format(Literal(fractions), values)
    return [str(bound) for (bound,) in run(connection, statement).fetchall()]


def ranges(bounds: Sequence[str]) -> list[dict[str, Any]]:
    """Details of the jobs between the cuts, the first and the last open at their ends."""
    edges: list[str | None] = [None, *bounds, None]
    return [{"what": "fill", "lower": edges[n], "upper": edges[n + 1]} for n in range(len(edges) - 1)]
