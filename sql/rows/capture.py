"""Capture: triggers that write the keys of changed rows to a change log.

Keys are logged as they are: a cast here could make the application's own write fail. The function
runs with the rights of its owner, because the application's role may not know the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from psycopg.sql import SQL, Composed, Identifier
from psycopg.sql import Literal as SQLLiteral

from replank.values.table_spec import TableSpec
from sql.catalogue.catalogue import read_tables
from sql.rows.change_log import log_keys, log_table, odd_columns, odd_table
from sql.session.connection import Connection, rows
from sql.session.plpgsql import COLUMNS_FIRST
from sql.session.statements import Statement, stated
from sql.session.table_names import live_table
from sql.values.conversion import type_name

PREFIX = "replank_capture_"
"""Trigger names; the part after it is the event."""

Event = Literal["insert", "update", "delete", "truncate", "row"]
Enabled = Literal["ALWAYS", "REPLICA"]

_FIRES: Mapping[Event, str] = {
    "insert": "INSERT ON {} REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT",
    "update": "UPDATE ON {} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT",
    "delete": "DELETE ON {} REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT",
    "truncate": "TRUNCATE ON {} FOR EACH STATEMENT",
    "row": "INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW",
}

EACH_STATEMENT: tuple[tuple[Event, Enabled], ...] = (
    ("insert", "ALWAYS"),
    ("update", "ALWAYS"),
    ("delete", "ALWAYS"),
    ("truncate", "ALWAYS"),
    ("row", "REPLICA"),
)
"""What a table that is captured by statement has. Logical replication fires no statement triggers for the rows that it
applies, and applies them with `session_replication_role = replica`: the last one fires for these alone."""

EACH_ROW: tuple[tuple[Event, Enabled], ...] = (("row", "ALWAYS"), ("truncate", "ALWAYS"))


def capture_function(spec: TableSpec) -> Identifier:
    return Identifier("replank", spec.capture_name)


def create_log(connection: Connection, spec: TableSpec) -> Iterator[Statement]:
    """The change log with the key columns as they are, and the table of odd spellings beside it."""
    keys = [
        SQL("{}::{}").format(Identifier("live", name), type_name(kind))
        for name, kind in _base_types(connection, spec).items()
    ]
    as_keys = SQL(", ").join(SQL("{} AS {}").format(key, name) for key, name in zip(keys, log_keys(spec), strict=True))
    source = SQL("FROM ONLY {} AS live WITH NO DATA").format(live_table(spec))
    if spec.partitioned:
        source = SQL("FROM {} AS live WITH NO DATA").format(live_table(spec))
    log = SQL("CREATE TABLE {} AS SELECT {}, false AS truncated {}").format(log_table(spec), as_keys, source)
    yield Statement(sql=log)
    converted_names = SQL(", ").join(
        SQL("{}::pg_catalog.text AS {}").format(key, Identifier(f"c{number}"))
        for number, key in enumerate(keys, start=1)
    )
    odd = SQL("CREATE TABLE {} AS SELECT {}, {} {}").format(odd_table(spec), as_keys, converted_names, source)
    yield Statement(sql=odd)
    keyed = SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(odd_table(spec), SQL(", ").join(log_keys(spec)))
    yield Statement(sql=keyed)
    found_by = odd_columns(spec)[0] if spec.key_converted else Identifier("k1")
    yield Statement(sql=SQL("CREATE INDEX ON {} ({})").format(odd_table(spec), found_by))


def _base_types(connection: Connection, spec: TableSpec) -> dict[str, str]:
    """The key's columns and their types without domains: a TRUNCATE is logged with NULLs, which these may forbid."""
    (live,) = read_tables(connection, [spec.oid])
    found = {column.name: column.base_type for column in live.columns}
    return {name: found[name] for name in spec.key}


def create_function(spec: TableSpec, *, replace: bool = False) -> Iterator[Statement]:
    """The trigger function, for statements (transition tables) or for rows."""
    body = function_body(spec, log_table(spec), each=spec.capture)
    made = SQL(
        "CREATE {}FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = pg_catalog, pg_temp AS {}"
    ).format(_or_replace(replace), capture_function(spec), SQLLiteral(body.as_string(None)))
    return stated([made, SQL("REVOKE ALL ON FUNCTION {}() FROM PUBLIC").format(capture_function(spec))])


def _or_replace(replace: bool) -> SQL:
    return SQL("OR REPLACE " if replace else "")


def function_body(spec: TableSpec, log: Identifier, *, each: Literal["statement", "row"]) -> Composed:
    """What a trigger on the table, or on the one that takes its place, does: write keys to `log`."""
    if each == "row":
        return SQL("{}{}").format(COLUMNS_FIRST, _row_body(spec, log))
    # What a transition table is called means nothing in a trigger for rows, so that neither block reads the other's.
    return SQL("{}BEGIN IF TG_LEVEL = 'ROW' THEN {}; ELSE {}; END IF; RETURN NULL; END").format(
        COLUMNS_FIRST, _row_body(spec, log), _statement_body(spec, log)
    )


def _statement_body(spec: TableSpec, log: Identifier) -> Composed:
    new, old = (SQL(", ").join(Identifier(rows, n) for n in spec.key) for rows in ("new_rows", "old_rows"))
    # Of two spellings that are equal, UNION keeps one, and they may become two values, or one none.
    union = SQL("UNION ALL" if any(column.loose for column in spec.key_columns) else "UNION")
    return SQL(
        "BEGIN"
        " IF TG_OP = 'INSERT' THEN INSERT INTO {log} ({logged}) SELECT {new} FROM new_rows;"
        " ELSIF TG_OP = 'UPDATE' THEN"
        " INSERT INTO {log} ({logged}) SELECT {new} FROM new_rows {union} SELECT {old} FROM old_rows;"
        " ELSIF TG_OP = 'DELETE' THEN INSERT INTO {log} ({logged}) SELECT {old} FROM old_rows;"
        " ELSE INSERT INTO {log} (truncated) VALUES (true);"
        " END IF; RETURN NULL; END"
    ).format(log=log, logged=SQL(", ").join(log_keys(spec)), new=new, old=old, union=union)


def _row_body(spec: TableSpec, log: Identifier) -> Composed:
    new = SQL(", ").join(SQL("NEW.") + Identifier(name) for name in spec.key)
    old = SQL(", ").join(SQL("OLD.") + Identifier(name) for name in spec.key)
    return SQL(
        "BEGIN"
        " IF TG_OP = 'TRUNCATE' THEN INSERT INTO {log} (truncated) VALUES (true); RETURN NULL; END IF;"
        " IF TG_OP <> 'INSERT' THEN INSERT INTO {log} ({logged}) VALUES ({old}); END IF;"
        " IF TG_OP <> 'DELETE' THEN INSERT INTO {log} ({logged}) VALUES ({new}); END IF;"
        " RETURN NULL; END"
    ).format(log=log, logged=SQL(", ").join(log_keys(spec)), new=new, old=old)


def install(connection: Connection, spec: TableSpec) -> Iterator[Statement]:
    """Log, function and triggers, for one transaction.

    CREATE TRIGGER takes SHARE ROW EXCLUSIVE: it waits for writers that are under way, so that every
    change that commits after this transaction is in the log. The caller sets a short lock_timeout.
    """
    yield from create_log(connection, spec)
    yield from create_function(spec)
    if spec.capture == "statement":
        yield from _statement_triggers(spec)
    else:
        yield from _row_triggers(connection, spec)


def _statement_triggers(spec: TableSpec) -> Iterator[Statement]:
    for event, enabled in EACH_STATEMENT:
        yield from create_trigger(live_table(spec), PREFIX + event, capture_function(spec), event, enabled)


def _row_triggers(connection: Connection, spec: TableSpec) -> Iterator[Statement]:
    """A row trigger on the table, which partitions take over, and TRUNCATE ones on all of them.

    Inheritance children are tables of their own, with triggers and logs of their own.
    """
    yield from create_trigger(live_table(spec), PREFIX + "row", capture_function(spec), "row")
    for table in _with_partitions(connection, spec):
        yield from create_trigger(table, PREFIX + "truncate", capture_function(spec), "truncate")


def _with_partitions(connection: Connection, spec: TableSpec) -> list[Identifier]:
    found = rows(
        connection,
        SQL(
            "WITH RECURSIVE part(oid) AS (SELECT %(oid)s::oid UNION SELECT i.inhrelid FROM part p"
            " JOIN pg_inherits i ON i.inhparent = p.oid JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition)"
            " SELECT n.nspname AS schema, c.relname AS name"
            " FROM part p JOIN pg_class c ON c.oid = p.oid JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p')"
        ),
        {"oid": spec.oid},
    )
    return [Identifier(r["schema"], r["name"]) for r in found]


def create_trigger(
    table: Identifier,
    name: str,
    function: Identifier,
    event: Event,
    enabled: Enabled = "ALWAYS",
    *,
    replace: bool = False,
) -> Iterator[Statement]:
    """A trigger that no session can switch off; with `REPLICA`, one that fires for logical replication alone."""
    fires = SQL(_FIRES[event]).format(table)
    made = SQL("CREATE {}TRIGGER {} AFTER {} EXECUTE FUNCTION {}()")
    yield Statement(sql=made.format(_or_replace(replace), Identifier(name), fires, function))
    # Otherwise `session_replication_role = replica` would switch capture off in silence.
    yield Statement(sql=SQL("ALTER TABLE {} ENABLE {} TRIGGER {}").format(table, SQL(enabled), Identifier(name)))


def remove(spec: TableSpec) -> Iterator[Statement]:
    """Drop triggers, function, log and odd spellings; what is not there is no error."""
    yield Statement(sql=SQL("DROP FUNCTION IF EXISTS {}() CASCADE").format(capture_function(spec)))
    yield Statement(sql=SQL("DROP TABLE IF EXISTS {}, {}").format(log_table(spec), odd_table(spec)))
