"""Dropping retained tables, with what was retained beside them; nothing else goes with them."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import errors
from psycopg.sql import SQL, Identifier

from replank.errors import NeedsOperator
from replank.values.table_spec import Relation
from sql.catalogue import catalogue
from sql.catalogue.inheritance import unlink
from sql.session.connection import Connection, apply_settings, rows, run, value
from sql.session.named_queries import query
from sql.session.table_names import live_table, server_text
from sql.swap.moved_dependents import hanging_on


def read_retained(connection: Connection, names: Sequence[tuple[str, str]]) -> list[Relation]:
    """Those of the names that are there."""
    found = [
        (schema, name, value(connection, query("swap_back.oid_of"), {"schema": schema, "name": name}))
        for schema, name in names
    ]
    return [Relation(oid=oid, schema=schema, name=name) for schema, name, oid in found if oid is not None]


def drop_hanging(connection: Connection, relations: Sequence[Relation], *, prefix: str, lock_timeout_ms: int) -> None:
    """What reads tables in schemas `prefix…`, or binds them to each other; then each table can go by itself."""
    parts = [p for relation in relations for p in catalogue.partitions(connection, relation.oid)]
    with connection.transaction():
        apply_settings(connection, {"lock_timeout": f"{lock_timeout_ms}ms"}, local=True)
        hanging = hanging_on(connection, [*relations, *parts])
        for function in (f for f in hanging.functions if f.schema.startswith(prefix)):
            connection.execute(SQL("DROP ROUTINE {}").format(server_text(function.signature)))
        for view in (v for v in reversed(hanging.views) if v.schema.startswith(prefix)):
            kind = SQL("MATERIALIZED VIEW" if view.materialized else "VIEW")
            run(connection, SQL("DROP {} {}").format(kind, live_table(view)))
        oids = [relation.oid for relation in (*relations, *parts)]
        unlink(connection, oids)
        for acting in rows(connection, query("swap_back.policies_and_rules"), {"oids": oids}):
            connection.execute(server_text(acting["dropped"]))
        for key in catalogue.read_foreign_keys(connection, [relation.oid for relation in relations]):
            table = Identifier(key.schema, key.table_name)
            statement = SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table, Identifier(key.name))
            connection.execute(statement)


def drop_table(connection: Connection, relation: Relation, *, lock_timeout_ms: int) -> None:
    """Drop one table with its partitions. Raises NeedsOperator where another object depends on it."""
    try:
        with connection.transaction():
            apply_settings(connection, {"lock_timeout": f"{lock_timeout_ms}ms"}, local=True)
            connection.execute(SQL("DROP TABLE IF EXISTS {}").format(live_table(relation)))
    except errors.DependentObjectsStillExist as error:
        raise NeedsOperator(
            f"{relation.full_name} cannot be dropped, because other objects depend on it: "
            f"{error.diag.message_detail}. Drop these, then run the same command again: it continues."
        ) from None
