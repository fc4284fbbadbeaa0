"""Which operator tells that two values are equal, whatever a search_path finds, and what tells them apart.

Rows are found by the key's own operators: 'USER5' and 'user5' are one citext, and with `pg_catalog` alone in the
search_path `=` would compare them as texts. Rows are distinguished by their bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg.sql import SQL, Composable, Identifier

from replank.values.reference import Equality
from replank.values.table_spec import ColumnSpec


def operator(schema: str, name: str = "=") -> Composable:
    """`OPERATOR(public.=)`"""
    return SQL("OPERATOR({}.{})").format(Identifier(schema), SQL(name))


def equal(column: ColumnSpec, left: Composable, right: Composable) -> Composable:
    """Two values of the column, both of the live or both of the next table, are equal as its key's index sees it."""
    return SQL("{} {} {}").format(left, operator(column.operators), right)


def all_equal(columns: Iterable[ColumnSpec], left: Iterable[Composable], right: Iterable[Composable]) -> Composable:
    """The same for several columns."""
    return SQL(" AND ").join(equal(c, a, b) for c, a, b in zip(columns, left, right, strict=True))


def in_order(
    columns: Sequence[ColumnSpec], left: Sequence[Composable], name: str, right: Sequence[Composable]
) -> Composable:
    """Two rows of values compared by `name` (`<`, `>=`, …), in the order of the columns' index.

    A comparison of rows takes one operator for all columns, so where these lie in several schemas it is said column by
    column, after a condition on the first one that the index can be entered by.
    """
    schemas = {column.operators for column in columns}
    if len(schemas) == 1:
        ours = operator(schemas.pop(), name)
        if len(columns) == 1:
            return SQL("{} {} {}").format(left[0], ours, right[0])
        return SQL("({}) {} ({})").format(SQL(", ").join(left), ours, SQL(", ").join(right))
    beyond = SQL("{} {} {}").format(left[-1], operator(columns[-1].operators, name), right[-1])
    for column, one, other in reversed(list(zip(columns[:-1], left, right, strict=False))):
        strictly = SQL("{} {} {}").format(one, operator(column.operators, name[0]), other)
        beyond = SQL("({} OR ({} AND {}))").format(strictly, equal(column, one, other), beyond)
    first = SQL("{} {} {}").format(left[0], operator(columns[0].operators, name[0] + "="), right[0])
    return SQL("({} AND {})").format(first, beyond)


def leads_to(
    values: Sequence[Composable], ref_columns: Sequence[str], equality: Sequence[Equality], *, parent: str = "parent"
) -> Composable:
    """The row called `parent` is one that these values refer to, as PostgreSQL compares them for the foreign key.

    Of a PERIOD this is that the two overlap.
    """
    return SQL(" AND ").join(
        SQL("{}{} {} {}{}").format(Identifier(parent, ref), SQL(of_parent), SQL(by), value, SQL(of_child))
        for value, ref, (of_parent, by, of_child) in zip(values, ref_columns, equality, strict=True)
    )


def as_bytes(column: ColumnSpec, reference: Composable) -> Composable:
    """A value as a text that is compared byte for byte: two are the same only if the values are."""
    if column.hash_by_output:
        return SQL('(CASE WHEN pg_catalog.num_nulls({0}) = 0 THEN pg_catalog.concat({0}) END COLLATE "C")').format(
            reference
        )
    return SQL('{}::pg_catalog.text COLLATE "C"').format(reference)
