"""A table after its swap: the past one, the new one in its place, and how a key leads from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from psycopg import sql

from replank.errors import NeedsPerson
from replank.reference import Reference
from replank.table_spec import ColumnSpec, TableSpec, building_schema
from sql import catalogue, equality
from sql.change_log import log_keys
from sql.connection import Connection, value
from sql.conversion import converted_if_valid, type_name
from sql.enum_texts import texts_of
from sql.equality import all_equal
from sql.moving import PAST
from sql.named import query
from sql.next_table import live_table, past_table
from sql.quarantine import not_aside
from sql.reverse_capture import back_log
from sql.spellings import Place


@dataclass(frozen=True, kw_only=True)
class Pair:
    """`spec` is the table as it was (its oids are those of the past relations), `new` as it is.

    `places` gives each column that became uuid its place among those that foreign keys join it with; `spellings`
    names the set's map of uuids to the texts they were made of.
    """

    spec: TableSpec
    new: TableSpec
    places: Mapping[str, Place]
    spellings: sql.Identifier

    @property
    def written(self) -> tuple[ColumnSpec, ...]:
        """What an INSERT into the past table names."""
        return tuple(c for c in self.spec.columns if not c.generated and not c.added)

    @property
    def converted(self) -> tuple[ColumnSpec, ...]:
        return tuple(c for c in self.spec.columns if c.converted)

    @property
    def everything(self) -> TableSpec:
        """To compare a row that was drained: all columns that both have."""
        columns = tuple(replace(c, value="", compared=True) for c in self.spec.columns if not c.added)
        return replace(self.spec, columns=columns, join="", references=self.references)

    @property
    def references(self) -> tuple[Reference, ...]:
        """The spec's, as they lead from one past table to another."""
        return tuple(
            replace(each, parent_schema=building_schema(PAST, each.parent_schema)) for each in self.spec.references
        )

    @property
    def unchanged(self) -> TableSpec:
        """To compare a row that nobody has changed: not what the run itself filled."""
        filled = any(c.value for c in self.spec.columns)
        columns = tuple(c for c in self.spec.columns if not c.added and not c.value and not (filled and c.generated))
        return replace(self.spec, columns=columns, join="", references=self.references)


def as_new(connection: Connection, spec: TableSpec) -> TableSpec:
    """The table that stands in the place of `spec` now, with the partitions it has now."""
    oid = value(connection, query("going_back.oid_of"), {"schema": spec.schema, "name": spec.name})
    if oid is None:
        raise NeedsPerson(f"{spec.full_name} is gone: dropped or renamed since the cutover. Undo that, then again.")
    by = catalogue.partition_key(connection, oid)
    return replace(
        spec, oid=oid, partitioned_by=by, partitions=catalogue.partitions(connection, oid) if by else (), layout=None
    )


def was_table(spec: TableSpec) -> sql.Identifier:
    """What the drained rows were: their new keys, and the texts of their converted columns."""
    return sql.Identifier("replank", f"back_was_{spec.run_id}_{spec.table_no}")


def create_was(connection: Connection, pair: Pair) -> None:
    """Only of use within one transaction, so it need not survive a crash."""
    keys = [
        sql.SQL("{} AS {}").format(sql.Identifier("new", name), key)
        for name, key in zip(pair.spec.key, log_keys(pair.spec), strict=True)
    ]
    texts = [
        sql.SQL("{} AS {}").format(sql.Identifier("past", column.name), was_text(number))
        for number, column in enumerate(pair.converted, start=1)
    ]
    connection.execute(
        sql.SQL("CREATE UNLOGGED TABLE IF NOT EXISTS {} AS SELECT {} FROM {}, {} WITH NO DATA").format(
            was_table(pair.spec), sql.SQL(", ").join([*keys, *texts]), new_rows(pair), past_rows(pair)
        )
    )


def was_text(number: int) -> sql.Identifier:
    """The past text of the converted column of this number, from 1."""
    return sql.Identifier(f"c{number}")


def past_rows(pair: Pair) -> sql.Composable:
    """The past table in a FROM clause, called `past`."""
    only = sql.SQL("" if pair.spec.partitioned else "ONLY ")
    return sql.SQL("{}{} AS past").format(only, past_table(pair.spec))


def new_rows(pair: Pair) -> sql.Composable:
    """The new table in a FROM clause, called `new`."""
    only = sql.SQL("" if pair.new.partitioned else "ONLY ")
    return sql.SQL("{}{} AS new").format(only, live_table(pair.new))


def taken_over(pair: Pair) -> sql.Composable:
    """Which rows of `past` the run had taken over. Those in quarantine are never looked at, so they stay."""
    return not_aside(pair.spec, "past")


def logged(pair: Pair) -> sql.Composable:
    """The distinct keys in the log, called `log`."""
    keys = sql.SQL(", ").join(log_keys(pair.spec))
    return sql.SQL("(SELECT DISTINCT {} FROM {} WHERE NOT coalesce(truncated, false)) AS log").format(
        keys, back_log(pair.spec)
    )


def past_keys(connection: Connection, pair: Pair) -> list[sql.Composable]:
    """The new key of a row of `past`. Of a text that was no uuid and was not taken over: NULL."""
    version = connection.info.server_version
    return [converted_if_valid(c, sql.Identifier("past", c.name), version) for c in pair.spec.key_columns]


def equal(pair: Pair, left: Iterable[sql.Composable], right: Iterable[sql.Composable]) -> sql.Composable:
    """Two keys are equal by the operators of their columns."""
    return all_equal(pair.spec.key_columns, left, right)


def of_log(pair: Pair) -> list[sql.Composable]:
    """The key columns of `log`."""
    return [sql.SQL("log.{}").format(key) for key in log_keys(pair.spec)]


def of_new(pair: Pair) -> list[sql.Composable]:
    """The key columns of `new`."""
    return [sql.Identifier("new", name) for name in pair.spec.key]


def logged_past(connection: Connection, pair: Pair) -> sql.Composable:
    """A FROM clause: `log` with the row of `past` that each key belongs to, found by the past key's own index.

    A uuid may have been spelled in several ways: canonically, or as the map knows. What is found is converted again,
    so it does not matter that the map knows spellings of other tables too.
    """
    joined: list[sql.Composable] = [logged(pair)]
    same: list[sql.Composable] = []
    for number, (column, key) in enumerate(zip(pair.spec.key_columns, of_log(pair), strict=True), start=1):
        name = sql.Identifier("past", column.name)
        if not column.converted:
            same.append(equality.equal(column, name, key))
            continue
        spelled = sql.Identifier(f"s{number}")
        if column.enum:
            joined.append(sql.SQL("CROSS JOIN LATERAL ({}) AS {}").format(texts_of(column, key), spelled))
            same += _spelled_so(column, name, sql.SQL("{}.t").format(spelled))
            continue
        joined.append(
            sql.SQL(
                "CROSS JOIN LATERAL (SELECT {key}::pg_catalog.text::{type} AS t UNION"
                " SELECT map.spelling::{type} FROM {map} AS map WHERE map.value = {key}) AS {spelled}"
            ).format(key=key, type=type_name(column.live_type), map=pair.spellings, spelled=spelled)
        )
        same += _spelled_so(column, name, sql.SQL("{}.t").format(spelled))
    return sql.SQL("{} JOIN {} ON {} AND {} AND {}").format(
        sql.SQL(" ").join(joined),
        past_rows(pair),
        sql.SQL(" AND ").join(same),
        equal(pair, past_keys(connection, pair), of_log(pair)),
        taken_over(pair),
    )


def _spelled_so(column: ColumnSpec, past: sql.Composable, spelled: sql.Composable) -> list[sql.Composable]:
    """The past text is this one: found by its own equality, and told apart by bytes where two spellings are equal."""
    found = [equality.equal(column, past, spelled)]
    if column.loose:
        found.append(sql.SQL('{}::pg_catalog.text COLLATE "C" = {}::pg_catalog.text').format(past, spelled))
    return found
