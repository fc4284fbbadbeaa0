"""What tables are called: the live one, the next one, the past one. And SQL that the server wrote."""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import Relation, TableSpec


def next_table(relation: Relation) -> Identifier:
    return Identifier(relation.next_schema, relation.name)


def next_rows(spec: TableSpec) -> Composable:
    """The next table in a FROM clause, called `next`; inheritance children are not part of it."""
    return SQL("{}{} AS next").format(SQL("" if spec.next_partitioned else "ONLY "), next_table(spec))


def live_table(relation: Relation) -> Identifier:
    return Identifier(relation.schema, relation.name)


def past_table(relation: Relation) -> Identifier:
    return Identifier(relation.past_schema, relation.name)


def server_text(text: str) -> SQL:
    """SQL that the server wrote (`pg_get_…def`, `format`): quoted there, executed here."""
    return SQL(text)


def quoted(*names: str) -> str:
    """A search_path of these schemas."""
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)
