"""Backfill in place: new and empty columns of a live table get their values, chunk by chunk.

A row is filled where its column is NULL and the plan's expression is not, so that doing it twice does
nothing. Values that the table had no column for are simply gone with the column; those that were put into a
column that was there are remembered, so that a rollback can take away exactly them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from replank.values.chunk import Chunk
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.rows.copy import in_chunk, joined_source
from sql.session.connection import Connection, apply_settings, row, run, value
from sql.session.named_queries import query
from sql.session.plpgsql import COLUMNS_FIRST
from sql.session.session_settings import pinned
from sql.session.statements import scratch
from sql.session.table_names import live_table, server_text
from sql.values.conversion import column_list, type_name
from sql.values.equality_operators import all_equal, as_bytes

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


def extend(connection: Connection, spec: TableSpec) -> None:
    """Columns, defaults, and the trigger that fills new rows, in the caller's one transaction with a lock_timeout.

    Nothing here rewrites the table: a default that would is set after its column was added.
    """
    for statement in extension(spec, rewriting(connection, spec)):
        run(connection, statement)


def extension(spec: TableSpec, rewriting: Collection[str]) -> list[Composable]:
    """The statements of `extend`. `rewriting` names the columns that `rewriting` has found."""
    actions = [action for column in spec.columns for action in _extension(column, rewrites=column.name in rewriting)]
    made: list[Composable] = []
    if actions:
        made.append(SQL("ALTER TABLE {} {}").format(live_table(spec), SQL(", ").join(actions)))
    made += _remembering(spec)
    return [*made, *trigger_statements(spec)] if filled_columns(spec) else made


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


def rewriting(connection: Connection, spec: TableSpec) -> frozenset[str]:
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


def _remembering(spec: TableSpec) -> list[Composable]:
    """A table for what is put into columns that were there before."""
    remembered = remembered_columns(spec)
    if not remembered:
        return []
    return [
        SQL("CREATE TABLE {} AS SELECT {}, {} FROM {} AS live WITH NO DATA").format(
            filled_table(spec),
            column_list(spec.key_columns, "live"),
            column_list(remembered, "live"),
            live_table(spec),
        )
    ]


def trigger_statements(spec: TableSpec) -> list[Composable]:
    """Rows that come in are filled at once. An expression that fails there leaves NULL: no write may break."""
    branches = SQL(" ").join(
        SQL(
            "IF NEW.{name} IS NULL THEN BEGIN SELECT {value} INTO NEW.{name} FROM (SELECT NEW.*) AS live {join};"
            " EXCEPTION WHEN OTHERS THEN NULL; END; END IF;"
        ).format(name=Identifier(column.name), value=fill_value(column), join=server_text(spec.join))
        for column in filled_columns(spec)
    )
    body = SQL("{}BEGIN {} RETURN NEW; END").format(COLUMNS_FIRST, branches).as_string(None)
    function, trigger = fill_function(spec), Identifier(TRIGGER)
    return [
        SQL(
            "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            " SET search_path = pg_catalog, pg_temp {} AS {}"
        ).format(function, pinned(), Literal(body)),
        SQL("REVOKE ALL ON FUNCTION {}() FROM PUBLIC").format(function),
        SQL("CREATE TRIGGER {} BEFORE INSERT OR UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION {}()").format(
            trigger, live_table(spec), function
        ),
        SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(live_table(spec), trigger),
    ]


def backfill_chunk(connection: Connection, spec: TableSpec, chunk: Chunk, *, quiet: bool) -> int:
    """Fill the chunk's rows in the caller's transaction. Returns how many there were.

    With `quiet`, the application's own triggers do not see it: what a row means has not changed.
    """
    if quiet:
        apply_settings(connection, {"session_replication_role": "replica"}, local=True)
    return int(run(connection, backfill_statement(spec, chunk)).rowcount)


def backfill_statement(spec: TableSpec, chunk: Chunk) -> Composable:
    """Lock the rows first, so that no value is computed from a row that somebody is changing."""
    return backfill_where(spec, in_chunk(spec, chunk))


def backfill_where(spec: TableSpec, where: Composable) -> Composable:
    """`backfill_statement` for the live rows that a condition on `live` chooses."""
    columns, remembered = filled_columns(spec), remembered_columns(spec)
    empty = [
        SQL("(live.{} IS NULL AND {} IS NOT NULL)").format(Identifier(column.name), fill_value(column))
        for column in columns
    ]
    values = [
        SQL("CASE WHEN live.{0} IS NULL THEN {1} END AS {2}").format(
            Identifier(column.name), fill_value(column), _value_name(number)
        )
        for number, column in enumerate(columns)
    ]
    same = _same_key(spec, "target", "chosen")
    assignments = SQL(", ").join(
        SQL("{0} = coalesce(target.{0}, chosen.{1})").format(Identifier(column.name), _value_name(number))
        for number, column in enumerate(columns)
    )
    only = SQL("" if spec.partitioned else "ONLY ")
    statement = SQL(
        "WITH chosen AS MATERIALIZED (SELECT {keys}, {values} FROM {source} WHERE {chunk} AND ({empty})"
        " FOR UPDATE OF live), filled AS (UPDATE {only}{live} AS target SET {assignments} FROM chosen WHERE {same}"
        " RETURNING 1) "
    ).format(
        keys=column_list(spec.key_columns, "live"),
        values=SQL(", ").join(values),
        source=joined_source(spec),
        chunk=where,
        empty=SQL(" OR ").join(empty),
        only=only,
        live=live_table(spec),
        assignments=assignments,
        same=same,
    )
    if not remembered:
        return statement + SQL("SELECT FROM filled")
    numbers = {column.name: number for number, column in enumerate(columns)}
    return statement + SQL("INSERT INTO {} SELECT {}, {} FROM chosen").format(
        filled_table(spec),
        column_list(spec.key_columns, "chosen"),
        SQL(", ").join(SQL("chosen.{}").format(_value_name(numbers[c.name])) for c in remembered),
    )


def _value_name(number: int) -> Identifier:
    return Identifier(f"replank value {number}")


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


def drop_trigger(connection: Connection, spec: TableSpec) -> None:
    """New rows are not filled any more; a trigger that is not there is no error."""
    run(connection, SQL("DROP FUNCTION IF EXISTS {}() CASCADE").format(fill_function(spec)))


def give_back_nulls(connection: Connection, spec: TableSpec, *, quiet: bool) -> None:
    """Take out the values that are still the ones that were filled in; what was written since stays."""
    there = value(connection, SQL("SELECT to_regclass({})::text").format(f"replank.{spec.filled_name}"))
    if there is None:
        return
    if quiet:
        apply_settings(connection, {"session_replication_role": "replica"}, local=True)
    for statement in given_back(spec):
        run(connection, statement)


def given_back(spec: TableSpec) -> list[Composable]:
    """The statements of `give_back_nulls`."""
    same = _same_key(spec, "live", "filled")
    return [
        SQL("UPDATE {} AS live SET {} = NULL FROM {} AS filled WHERE {} AND {} = {}").format(
            live_table(spec),
            Identifier(column.name),
            filled_table(spec),
            same,
            as_bytes(column, Identifier("live", column.name)),
            as_bytes(column, Identifier("filled", column.name)),
        )
        for column in remembered_columns(spec)
    ]


def _same_key(spec: TableSpec, one: str, other: str) -> Composable:
    return all_equal(
        spec.key_columns,
        [Identifier(one, name) for name in spec.key],
        [Identifier(other, name) for name in spec.key],
    )


def finish_backfill(connection: Connection, spec: TableSpec) -> None:
    """Drop the trigger and what was remembered; what is not there is no error."""
    drop_trigger(connection, spec)
    run(connection, SQL("DROP TABLE IF EXISTS {}").format(filled_table(spec)))
