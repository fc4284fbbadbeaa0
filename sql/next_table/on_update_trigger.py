"""What every UPDATE puts into columns like `updated_at`: one trigger for all of a table's.

The next table has it from the beginning: it is filled by INSERT and DELETE alone, so it does not fire there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from replank.names import joined_name
from replank.values.table_spec import Relation, TableSpec
from sql.session.plpgsql import COLUMNS_FIRST
from sql.session.statements import Statement, stated
from sql.session.table_names import live_table, next_table, server_text


def function_name(spec: Relation) -> str:
    """`orders_on_update`"""
    return joined_name(spec.name, ending="_on_update")


def create_on_update(spec: TableSpec, *, live: bool = False) -> Iterator[Statement]:
    """Function and trigger for the next table (or the live one), in its schema; none where no column asks for it."""
    function = Identifier(spec.schema if live else spec.next_schema, function_name(spec))
    table = live_table(spec) if live else next_table(spec)
    updates = [(column.name, column.on_update) for column in spec.columns if column.on_update]
    return stated(on_update(function, Identifier(function_name(spec)), table, updates))


def on_update(
    function: Identifier, trigger: Identifier, table: Identifier, updates: Sequence[tuple[str, str]]
) -> list[Composable]:
    """The statements that make function and trigger; none without `updates`: (column, SQL) each."""
    if not updates:
        return []
    # A statement that sets the column itself has the last word.
    body = SQL(" ").join(
        SQL("IF NEW.{0} IS NOT DISTINCT FROM OLD.{0} THEN NEW.{0} := ({1}); END IF;").format(
            Identifier(column), server_text(expression)
        )
        for column, expression in updates
    )
    text = SQL("{}BEGIN {} RETURN NEW; END").format(COLUMNS_FIRST, body).as_string(None)
    return [
        SQL("CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS {}").format(
            function, Literal(text)
        ),
        SQL("CREATE TRIGGER {} BEFORE UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()").format(
            trigger, table, function
        ),
    ]


def drop_on_update(spec: TableSpec, *, live: bool = False) -> list[Statement]:
    """Trigger and function, where nothing shall be left of the run; what is not there is no error."""
    if not any(column.on_update for column in spec.columns):
        return []
    function = Identifier(spec.schema if live else spec.next_schema, function_name(spec))
    return [Statement(sql=SQL("DROP FUNCTION IF EXISTS {}() CASCADE").format(function))]


def moved_on_update(spec: TableSpec) -> list[Composable]:
    """At the swap: the function takes its place beside the table."""
    if not any(column.on_update for column in spec.columns):
        return []
    function = Identifier(spec.next_schema, function_name(spec))
    return [SQL("ALTER FUNCTION {}() SET SCHEMA {}").format(function, Identifier(spec.schema))]
