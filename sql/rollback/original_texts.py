"""Original texts: a map from each uuid to the texts it was made of, where these are not the canonical ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import TableSpec
from sql.session.connection import Connection, value
from sql.session.statements import Statement
from sql.session.table_names import past_table
from sql.values.conversion import converted_if_valid

Column = tuple[int, str]
"""A table's number and a column's name."""


def original_texts_table(run_id: int, set_no: int) -> Identifier:
    return Identifier("replank", original_texts_name(run_id, set_no))


def original_texts_name(run_id: int, set_no: int) -> str:
    return f"original_texts_{run_id}_{set_no}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Columns that foreign keys join share a `number`, because their texts are the same.

    Where such a key compares as char, they are so but for blanks at their ends; those whose texts are the same with
    their blanks share `exact`. `rank` is 0 for those that others refer to and that refer to none of these: there a
    text is its row's own.
    """

    number: int
    exact: int
    rank: int


def places(specs: Sequence[TableSpec], foreign_keys: Iterable[Mapping[str, Any]]) -> dict[Column, Place]:
    """The place of each column that became uuid."""
    joined = _joined(specs, foreign_keys)
    columns = [(spec.table_no, column.name) for spec in specs for column in spec.columns if column.remembered]
    numbers = _components(columns, [(one, other) for one, other, _ in joined])
    exact = _components(columns, [(one, other) for one, other, as_char in joined if not as_char])
    referring = {one for one, _, as_char in joined if not as_char}
    return {c: Place(number=numbers[c], exact=exact[c], rank=int(c in referring)) for c in columns}


def _joined(specs: Sequence[TableSpec], foreign_keys: Iterable[Mapping[str, Any]]) -> list[tuple[Column, Column, bool]]:
    """Pairs of a column and the one that it refers to, and whether that one is a char."""
    table_of = {(relation.schema, relation.name): spec for spec in specs for relation in spec.relations}
    remembered = {(s.table_no, c.name): c for s in specs for c in s.columns if c.remembered}
    found = []
    for key in foreign_keys:
        source = table_of.get((key["schema"], key["table_name"]))
        target = table_of.get((key["ref_schema"], key["ref_table"]))
        if source is None or target is None:
            continue
        for name, ref in zip(key["columns"], key["ref_columns"], strict=True):
            one, other = (source.table_no, name), (target.table_no, ref)
            if one in remembered and other in remembered and one != other:
                found.append((one, other, remembered[other].live_type.startswith(("bpchar", "character("))))
    return found


def _components(columns: Sequence[Column], pairs: Iterable[tuple[Column, Column]]) -> dict[Column, int]:
    parent = {column: column for column in columns}

    def root(column: Column) -> Column:
        while parent[column] != column:
            column = parent[column]
        return column

    for one, other in pairs:
        parent[root(one)] = root(other)
    numbers: dict[Column, int] = {}
    return {column: numbers.setdefault(root(column), len(numbers) + 1) for column in columns}


def build_original_texts(
    connection: Connection, specs: Sequence[TableSpec], where: Mapping[Column, Place], *, set_no: int
) -> Iterator[Statement]:
    """From the past tables, before the first row of the reverse drain: one pass over each, in one transaction.

    None where it is there: then it is complete.
    """
    run_id = specs[0].run_id
    name = original_texts_table(run_id, set_no)
    if value(connection, SQL("SELECT to_regclass({})::text").format(f"replank.{original_texts_name(run_id, set_no)}")):
        return
    # No collation of its own: it would win over the past key's, whose index could not be used then.
    made = SQL("CREATE TABLE {} (value uuid, place int, exact int, rank int, original text)")
    yield Statement(sql=made.format(name))
    for spec in specs:
        yield from _remember(spec, where, name, connection.info.server_version)
    yield Statement(sql=SQL("CREATE INDEX ON {} (value)").format(name))
    yield Statement(sql=SQL("ANALYZE {}").format(name))


def _remember(spec: TableSpec, where: Mapping[Column, Place], name: Identifier, version: int) -> Iterator[Statement]:
    found = [
        SQL('({}, {}, {}, {}, {}::pg_catalog.text COLLATE "C")').format(
            converted_if_valid(column, Identifier("past", column.name), version),
            place.number,
            place.exact,
            place.rank,
            Identifier("past", column.name),
        )
        for column in spec.columns
        if column.remembered and (place := where[spec.table_no, column.name])
    ]
    if not found:
        return
    yield Statement(
        sql=SQL(
            "INSERT INTO {} SELECT DISTINCT v.value, v.place, v.exact, v.rank, v.original FROM {}{} AS past"
            " CROSS JOIN LATERAL (VALUES {}) AS v (value, place, exact, rank, original)"
            " WHERE v.value IS NOT NULL AND v.original <> v.value::pg_catalog.text"
        ).format(name, SQL("" if spec.partitioned else "ONLY "), past_table(spec), SQL(", ").join(found)),
    )


def original_text(reference: Composable, otherwise: Composable, place: Place, name: Identifier) -> Composable:
    """A next value as text: as it was in its place, or else in any other, or else `otherwise`."""
    return SQL(
        "coalesce((SELECT map.original FROM {name} AS map WHERE map.value = {reference}"
        ' ORDER BY map.place <> {place}, map.exact <> {exact}, map.rank, map.original COLLATE "C" LIMIT 1),'
        " {otherwise})"
    ).format(name=name, reference=reference, otherwise=otherwise, place=place.number, exact=place.exact)
