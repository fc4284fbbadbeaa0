"""A table after its swap: the past one, the new one in its place, and how a key leads from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from psycopg.sql import SQL, Composable, Identifier

from replank.errors import NeedsOperator
from replank.values.reference import Reference
from replank.values.table_spec import ColumnSpec, TableSpec, building_schema
from sql.catalogue import catalogue
from sql.quarantine.quarantined_rows import not_quarantined
from sql.rollback.original_texts import Place
from sql.rows.change_log import log_keys
from sql.rows.reverse_capture import reverse_log
from sql.session.connection import Connection, value
from sql.session.named_queries import query
from sql.session.statements import Statement
from sql.session.table_names import live_table, past_table, server_text
from sql.swap.moved_dependents import PAST
from sql.values import equality_operators
from sql.values.conversion import converted_if_valid
from sql.values.conversions.choose import conversion_of
from sql.values.equality_operators import all_equal


@dataclass(frozen=True, kw_only=True)
class TablePair:
    """`spec` is the table as it was (its oids are those of the past relations), `new` as it is.

    `places` gives each column that became uuid its place among those that foreign keys join it with; `original_texts`
    names the set's map of uuids to the texts they were made of.
    """

    spec: TableSpec
    new: TableSpec
    places: Mapping[str, Place]
    original_texts: Identifier

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
        """To compare a row that the application has not changed: not what the run itself filled."""
        filled = any(c.value for c in self.spec.columns)
        columns = tuple(c for c in self.spec.columns if not c.added and not c.value and not (filled and c.generated))
        return replace(self.spec, columns=columns, join="", references=self.references)


def as_new(connection: Connection, spec: TableSpec) -> TableSpec:
    """The table that stands in the place of `spec` now, with the partitions it has now."""
    oid = value(connection, query("swap_back.oid_of"), {"schema": spec.schema, "name": spec.name})
    if oid is None:
        raise NeedsOperator(
            f"{spec.full_name} is gone: it was dropped or renamed since the cutover. Undo that, then try again."
        )
    by = catalogue.partition_key(connection, oid)
    return replace(
        spec, oid=oid, partitioned_by=by, partitions=catalogue.partitions(connection, oid) if by else (), layout=None
    )


def was_table(spec: TableSpec) -> Identifier:
    """What the drained rows were: their new keys, and the texts of their converted columns."""
    return Identifier("replank", f"back_was_{spec.run_id}_{spec.table_no}")


def create_was(pair: TablePair) -> Statement:
    """Only of use within one transaction, so it need not survive a crash."""
    keys = [
        SQL("{} AS {}").format(Identifier("new", name), key)
        for name, key in zip(pair.spec.key, log_keys(pair.spec), strict=True)
    ]
    texts = [
        SQL("{} AS {}").format(Identifier("past", column.name), was_text(number))
        for number, column in enumerate(pair.converted, start=1)
    ]
    return Statement(
        sql=SQL("CREATE UNLOGGED TABLE IF NOT EXISTS {} AS SELECT {} FROM {}, {} WITH NO DATA").format(
            was_table(pair.spec), SQL(", ").join([*keys, *texts]), new_rows(pair), past_rows(pair)
        )
    )


def was_text(number: int) -> Identifier:
    """The past text of the converted column of this number, from 1."""
    return Identifier(f"c{number}")


def past_rows(pair: TablePair) -> Composable:
    """The past table in a FROM clause, called `past`."""
    only = SQL("" if pair.spec.partitioned else "ONLY ")
    return SQL("{}{} AS past").format(only, past_table(pair.spec))


def new_rows(pair: TablePair) -> Composable:
    """The new table in a FROM clause, called `new`."""
    only = SQL("" if pair.new.partitioned else "ONLY ")
    return SQL("{}{} AS new").format(only, live_table(pair.new))


def taken_over(pair: TablePair) -> Composable:
    """Which rows of `past` the run had taken over. Those in quarantine are never read, so they stay."""
    return not_quarantined(pair.spec, "past")


def logged(pair: TablePair) -> Composable:
    """The distinct keys in the log, called `log`."""
    keys = SQL(", ").join(log_keys(pair.spec))
    return SQL("(SELECT DISTINCT {} FROM {} WHERE NOT coalesce(truncated, false)) AS log").format(
        keys, reverse_log(pair.spec)
    )


def past_keys(connection: Connection, pair: TablePair) -> list[Composable]:
    """The new key of a row of `past`. Of a text that was no uuid and was not taken over: NULL."""
    version = connection.info.server_version
    return [converted_if_valid(c, Identifier("past", c.name), version) for c in pair.spec.key_columns]


def equal(pair: TablePair, left: Iterable[Composable], right: Iterable[Composable]) -> Composable:
    """Two keys are equal by the operators of their columns."""
    return all_equal(pair.spec.key_columns, left, right)


def of_log(pair: TablePair) -> list[Composable]:
    """The key columns of `log`."""
    return [SQL("log.{}").format(key) for key in log_keys(pair.spec)]


def of_new(pair: TablePair) -> list[Composable]:
    """The key columns of `new`."""
    return [Identifier("new", name) for name in pair.spec.key]


def logged_past(connection: Connection, pair: TablePair) -> Composable:
    """A FROM clause: `log` with the row of `past` that each key belongs to, found by the past key's own index.

    A uuid may have been spelled in several ways: canonically, or as the map knows. What is found is converted again,
    so it does not matter that the map knows spellings of other tables too.
    """
    joined: list[Composable] = [logged(pair)]
    same: list[Composable] = []
    for number, (column, key) in enumerate(zip(pair.spec.key_columns, of_log(pair), strict=True), start=1):
        name = Identifier("past", column.name)
        if not column.converted:
            same.append(equality_operators.equal(column, name, key))
            continue
        spelled = Identifier(f"s{number}")
        known = conversion_of(column, connection.info.server_version).candidates(key)
        if column.remembered:
            known = SQL("{} UNION SELECT map.original::{} FROM {} AS map WHERE map.value = {}").format(
                known, server_text(column.live_type), pair.original_texts, key
            )
        joined.append(SQL("CROSS JOIN LATERAL ({}) AS {}").format(known, spelled))
        same += _spelled_so(column, name, SQL("{}.t").format(spelled))
    return SQL("{} JOIN {} ON {} AND {} AND {}").format(
        SQL(" ").join(joined),
        past_rows(pair),
        SQL(" AND ").join(same),
        equal(pair, past_keys(connection, pair), of_log(pair)),
        taken_over(pair),
    )


def _spelled_so(column: ColumnSpec, past: Composable, spelled: Composable) -> list[Composable]:
    """The past text is this one: found by its own equality, and compared by bytes where two texts are equal."""
    found = [equality_operators.equal(column, past, spelled)]
    if column.loose:
        found.append(SQL('{}::pg_catalog.text COLLATE "C" = {}::pg_catalog.text').format(past, spelled))
    return found
