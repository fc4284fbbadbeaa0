"""Reverse capture: what changes in the new tables after the cutover, so that a rollback can take it along.

Its triggers stand on the next table before the lock and do nothing; in the cutover's own transaction their
function gets its body. So the filling of the next table is not logged, and every later change is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Literal

from psycopg.sql import SQL, Composable, Composed, Identifier
from psycopg.sql import Literal as SQLLiteral

from replank.values.table_spec import TableSpec
from sql.rows.capture import EACH_STATEMENT, create_trigger, function_body
from sql.rows.change_log import log_keys
from sql.session.connection import Connection, apply_settings, rows, value
from sql.session.named_queries import query
from sql.session.statements import Statement
from sql.session.table_names import next_table

PREFIX = "replank_capture_back_"
"""Trigger names; by these, ours are recognised among definitions."""


def reverse_log(spec: TableSpec) -> Identifier:
    """Keys of changed rows of the new table, in its own types: `k1` …, or `truncated`."""
    return Identifier("replank", reverse_log_name(spec))


def reverse_log_name(spec: TableSpec) -> str:
    return f"reverse_log_{spec.run_id}_{spec.table_no}"


def reverse_function(spec: TableSpec) -> Identifier:
    return Identifier("replank", function_name(spec))


def function_name(spec: TableSpec) -> str:
    return f"capture_back_{spec.run_id}_{spec.table_no}"


def _each(spec: TableSpec) -> Literal["statement", "row"]:
    """A row that is written straight into a partition fires no statement trigger of its parent; one of an inheritance
    child that is written through its parent fires none of its own."""
    return "row" if spec.next_partitioned or spec.kin else "statement"


def _for_rows(spec: TableSpec) -> str:
    """`pg_trigger.tgenabled` of the trigger for rows: beside those for statements it is logical replication's alone."""
    return "R" if _each(spec) == "statement" else "A"


def prepare_capture(connection: Connection, spec: TableSpec) -> Iterator[Statement]:
    """Before the cutover's lock, for one transaction: log, function and triggers, which do nothing yet.

    None where an earlier attempt has made them.
    """
    if reverse_capture_is_installed(connection, spec):
        return
    as_keys = SQL(", ").join(
        SQL("{} AS {}").format(Identifier(name), key) for name, key in zip(spec.key, log_keys(spec), strict=True)
    )
    log = SQL("CREATE TABLE {} AS SELECT {}, false AS truncated FROM {} WITH NO DATA")
    yield Statement(sql=log.format(reverse_log(spec), as_keys, next_table(spec)))
    yield Statement(sql=_function(spec, SQL("BEGIN RETURN NULL; END").format()))
    yield Statement(sql=SQL("REVOKE ALL ON FUNCTION {}() FROM PUBLIC").format(reverse_function(spec)))
    function = reverse_function(spec)
    if _each(spec) == "statement":
        for event, enabled in EACH_STATEMENT:
            yield from create_trigger(next_table(spec), PREFIX + event, function, event, enabled)
        return
    yield from create_trigger(next_table(spec), PREFIX + "row", function, "row")
    for relation in spec.next_relations:
        yield from create_trigger(next_table(relation), PREFIX + "truncate", function, "truncate")


def enable_prepared_capture(spec: TableSpec) -> Composable:
    """In the swap's script: from this transaction's commit on, changes are logged. One row of the catalogue."""
    return _function(spec, function_body(spec, reverse_log(spec), each=_each(spec)))


def _function(spec: TableSpec, body: Composed) -> Composed:
    return SQL(
        "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = pg_catalog, pg_temp AS {}"
    ).format(reverse_function(spec), SQLLiteral(body.as_string(None)))


def reverse_capture_is_installed(connection: Connection, spec: TableSpec) -> bool:
    """Whether log and function are there."""
    return bool(value(connection, query("swap_back.reverse_capture_is_installed"), {"function": function_name(spec)}))


class Captured(StrEnum):
    """What is known of a table's changes since its cutover."""

    ALL = "all"
    NOT_ALWAYS = "not always"
    """Its triggers stand, and one was switched off: perhaps for a time, perhaps until now."""
    NOT = "not"
    """Triggers are gone, or it is another table than the cutover's."""
    NO_PAST = "no past"
    """Its past table is gone."""


def captured(connection: Connection, specs: Iterable[TableSpec]) -> dict[int, Captured]:
    """Number of a table → what is captured of it, of tables that are swapped."""
    by_number = {spec.table_no: spec for spec in specs}
    named = {
        "numbers": list(by_number),
        "schemas": [spec.schema for spec in by_number.values()],
        "names": [spec.name for spec in by_number.values()],
        "past_schemas": [spec.past_schema for spec in by_number.values()],
        "functions": [function_name(spec) for spec in by_number.values()],
        "for_rows": [_for_rows(spec) for spec in by_number.values()],
    }
    found = rows(connection, query("swap_back.captures"), named)
    return {r["table_no"]: _captured(by_number[r["table_no"]], r) for r in found}


def _captured(spec: TableSpec, found: Mapping[str, Any]) -> Captured:
    if found["past_oid"] != spec.oid:
        return Captured.NO_PAST
    wanted = len(EACH_STATEMENT) if _each(spec) == "statement" else 2
    if found["standing"] != wanted:
        return Captured.NOT
    return Captured.NOT_ALWAYS if found["off"] else Captured.ALL


def provable(spec: TableSpec) -> bool:
    """Whether comparing past and new table finds every change that was not captured.

    Columns that the run has filled are others by right, so what was written to them is not found.
    """
    return not any(column.value for column in spec.columns)


def enable_reverse_capture(connection: Connection, spec: TableSpec, new: TableSpec, *, lock_timeout_ms: int) -> None:
    """Triggers that another session has switched off fire again as they were made.

    `new` is the table as it is now, with its partitions.
    """
    oids = [relation.oid for relation in (new, *new.partitions)]
    named = {"function": function_name(spec), "oids": oids, "for_rows": _for_rows(spec)}
    with connection.transaction():
        apply_settings(connection, {"lock_timeout": f"{lock_timeout_ms}ms"}, local=True)
        for found in rows(connection, query("swap_back.not_always"), named):
            table, trigger = Identifier(found["schema"], found["name"]), Identifier(found["trigger"])
            connection.execute(
                SQL("ALTER TABLE ONLY {} ENABLE {} TRIGGER {}").format(table, SQL(found["wanted"]), trigger)
            )


def waiting_changes(connection: Connection, specs: Iterable[TableSpec]) -> int:
    """Rows in the logs of these tables; tables that have none count nothing."""
    there = [spec for spec in specs if reverse_capture_is_installed(connection, spec)]
    if not there:
        return 0
    counts = SQL(" UNION ALL ").join(SQL("SELECT count(*) AS n FROM {}").format(reverse_log(s)) for s in there)
    return int(value(connection, SQL("SELECT sum(n)::bigint FROM ({}) AS logs").format(counts)))


def remove_capture(spec: TableSpec) -> Iterator[Statement]:
    """Drop triggers, function and log, for the inside of a transaction; what is not there is no error.

    Dropping a trigger locks its table: the caller sets a short lock_timeout.
    """
    yield Statement(sql=SQL("DROP FUNCTION IF EXISTS {}() CASCADE").format(reverse_function(spec)))
    yield Statement(sql=SQL("DROP TABLE IF EXISTS {}").format(reverse_log(spec)))


def published(connection: Connection, specs: Iterable[TableSpec]) -> list[str]:
    """Statements that put the live tables into their publications again, as they are defined now."""
    return [
        found["statement"]
        for spec in specs
        for relation in (spec.relations if spec.layout is None else (spec,))
        for found in rows(connection, query("dependents.publications"), {"oid": relation.oid})
    ]
