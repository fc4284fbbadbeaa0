"""Backfill in place: new and empty columns of a live table get their values, chunk by chunk.

A row is filled where its column is NULL and the plan's expression is not, so that doing it twice does
nothing. Values that the table had no column for are simply gone with the column; those that were put into a
column that was there are remembered, so that a rollback can take away exactly them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from replank.values.table_spec import ColumnSpec, TableSpec
from sql.session.connection import Connection, row, run, value
from sql.session.named_queries import query
from sql.session.plpgsql import COLUMNS_FIRST
from sql.session.session_settings import pinned
from sql.session.statements import Statement, scratch
from sql.session.table_names import live_table, server_text
from sql.values.conversion import column_list, type_name

TRIGGER = "replank_fill"


def filled_table(spec: TableSpec) -> Identifier:
    return Identifier("replank", spec.filled_name)


def fill_function(spec: TableSpec) -> Identifier:
    return Identifier("replank", spec.fill_name)


def filled_columns(spec: TableSpec) -> list[ColumnSpec]:
    """The columns that rows may have to be filled in: those with an expression or, if they are new, a default."""
    return [column for column in spec.columns if column.value or (column.added and column.default)]


def remembered_columns(spec: TableSpec) -> list[ColumnSpec]:
    """Those that the table had before: a rollback must give them their NULLs back."""
    return [column for column in filled_columns(spec) if not column.added]


def fill_value(column: ColumnSpec) -> Composable:
    return SQL("({})::{}").format(server_text(column.value or column.default), type_name(column.next_type))


def extend(spec: TableSpec, rewriting: Collection[str]) -> list[Statement]:
    """Columns, defaults, and the trigger that fills new rows, for one transaction with a lock_timeout.

    Nothing here rewrites the table: a default that would is set after its column was added. `rewriting` names such
    columns, as `rewriting_columns` has found them.
    """
    actions = [action for column in spec.columns for action in _extension(column, rewrites=column.name in rewriting)]
    made: list[Statement] = []
    if actions:
        made.append(Statement(sql=SQL("ALTER TABLE {} {}").format(live_table(spec), SQL(", ").join(actions))))
    made += _remembering(spec)
    return [*made, *create_trigger(spec)] if filled_columns(spec) else made


def _extension(column: ColumnSpec, *, rewrites: bool) -> list[Composable]:
    name = Identifier(column.name)
    set_default: list[Composable] = []
    if column.default:
        set_default = [SQL("ALTER COLUMN {} SET DEFAULT {}").format(name, server_text(column.default))]
    if not column.added:
        return set_default
    added = SQL("ADD COLUMN {} {}").format(name, type_name(column.next_type))
    if column.default and not column.value and not rewrites:
        # Kept in the catalogue for the rows that are there: nothing is left to be filled.
        return [added + SQL(" DEFAULT {}").format(server_text(column.default))]
    return [added, *set_default]


def rewriting_columns(connection: Connection, spec: TableSpec) -> frozenset[str]:
    """The new columns that cannot be added with their default. Tried, and rolled back: not while composing."""
    tried = (column for column in spec.columns if column.added and column.default and not column.value)
    return frozenset(column.name for column in tried if rewrites(connection, column))


def rewrites(connection: Connection, column: ColumnSpec) -> bool:
    """Whether adding the column with its default would rewrite the table: tried on a table of one row."""
    with scratch(connection):
        connection.execute("CREATE TEMPORARY TABLE replank_probe AS SELECT 1 AS one")
        before = value(connection, query("backfilling.probe"))
        run(
            connection,
            SQL("ALTER TABLE pg_temp.replank_probe ADD COLUMN probed {} DEFAULT {}").format(
                type_name(column.next_type), server_text(column.default)
            ),
        )
        return bool(value(connection, query("backfilling.probe")) != before)


def _remembering(spec: TableSpec) -> list[Statement]:
    """A table for what is put into columns that were there before."""
    remembered = remembered_columns(spec)
    if not remembered:
        return []
    made = SQL("CREATE TABLE {} AS SELECT {}, {} FROM {} AS live WITH NO DATA")
    keys, values = column_list(spec.key_columns, "live"), column_list(remembered, "live")
    return [Statement(sql=made.format(filled_table(spec), keys, values, live_table(spec)))]


def create_trigger(spec: TableSpec) -> Iterator[Statement]:
    """Rows that come in are filled at once. An expression that fails there leaves NULL: no write may break."""
    branches = SQL(" ").join(
        SQL(
            "IF NEW.{name} IS NULL THEN BEGIN SELECT {value} INTO NEW.{name} FROM (SELECT NEW.*) AS live {join};"
            " EXCEPTION WHEN OTHERS THEN NULL; END; END IF;"
        ).format(name=Identifier(column.name), value=fill_value(column), join=server_text(spec.join))
        for column in filled_columns(spec)
    )
    body = SQL("{}BEGIN {} RETURN NEW; END").format(COLUMNS_FIRST, branches).as_string(None)
    function, trigger, live = fill_function(spec), Identifier(TRIGGER), live_table(spec)
    made = SQL(
        "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = pg_catalog, pg_temp {} AS {}"
    )
    fires = SQL("CREATE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()")
    yield Statement(sql=made.format(function, pinned(), Literal(body)))
    yield Statement(sql=SQL("REVOKE ALL ON FUNCTION {}() FROM PUBLIC").format(function))
    yield Statement(sql=fires.format(trigger, live, function))
    yield Statement(sql=SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(live, trigger))


def drop_trigger(spec: TableSpec) -> Statement:
    """New rows are not filled any more; a trigger that is not there is no error."""
    return Statement(sql=SQL("DROP FUNCTION IF EXISTS {}() CASCADE").format(fill_function(spec)))


def forget_filled(spec: TableSpec) -> Statement:
    """What was put into columns that were there is remembered no more; where nothing was, it is no error."""
    return Statement(sql=SQL("DROP TABLE IF EXISTS {}").format(filled_table(spec)))


def may_be_quiet(connection: Connection) -> bool:
    """Whether this role may keep the application's triggers from firing."""
    return bool(value(connection, query("backfilling.may_be_quiet")))


def disturbing_triggers(connection: Connection, spec: TableSpec) -> list[str]:
    """The application's triggers that an UPDATE would fire, on the table and its partitions."""
    found = row(connection, query("backfilling.triggers"), {"oids": [r.oid for r in spec.relations]})
    return [] if found is None else list(found["names"])


def keyed_columns(connection: Connection, spec: TableSpec) -> Sequence[str]:
    """Filled columns that a foreign key of the table checks: there triggers must fire."""
    found = row(connection, query("backfilling.keyed"), {"oids": [r.oid for r in spec.relations]})
    keyed = set() if found is None else set(found["names"])
    return [column.name for column in filled_columns(spec) if column.name in keyed]
