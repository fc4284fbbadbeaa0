"""Caches that are no tables of rows to fill: materialized views and the server's memory; and how well all are hit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composable, Identifier, Literal
from psycopg.types.json import Jsonb

from sql.session.connection import Connection, row, rows, run, value
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class NamedRelation:
    """What a name of the plan means in the catalogue. `relkind` is that of `pg_class`."""

    oid: int
    relkind: str
    populated: bool
    owned: bool
    has_unique_index: bool
    """Over plain columns and all rows, as REFRESH … CONCURRENTLY needs it."""


def find_relation(connection: Connection, schema: str, name: str) -> NamedRelation | None:
    found = row(connection, query("caches.relation"), {"schema": schema, "name": name})
    return None if found is None else NamedRelation(**found)


def refresh(connection: Connection, schema: str, name: str, *, concurrently: bool) -> None:
    """Refresh a materialized view in the caller's transaction."""
    how = SQL("CONCURRENTLY " if concurrently else "")
    connection.execute(SQL("REFRESH MATERIALIZED VIEW {}{}").format(how, Identifier(schema, name)))


def prewarm_schema(connection: Connection) -> str | None:
    """The schema of the extension pg_prewarm, None where it is not installed."""
    found = row(connection, query("caches.prewarm_extension"))
    return None if found is None else str(found["schema"])


def prewarm(connection: Connection, extension_schema: str, schema: str, name: str) -> int:
    """Read a relation, its partitions, indexes and TOAST into the server's buffers. Returns the blocks read."""
    function = Identifier(extension_schema, "pg_prewarm")
    files = rows(connection, query("caches.files"), {"schema": schema, "name": name})
    return sum(
        int(value(connection, SQL("SELECT {}({}::oid::regclass)").format(function, Literal(file["oid"]))))
        for file in files
    )


def block_hits(connection: Connection, names: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Blocks of these relations and their indexes: found in the server's buffers (`hits`), or not (`misses`)."""
    found = row(connection, query("caches.blocks"), {"names": Jsonb([list(name) for name in names])})
    assert found is not None
    return _rated("blocks", found)


def counted_hits(connection: Connection, schema: str, name: str, hits: str, misses: str) -> dict[str, Any]:
    """The same by a cache's own two counters."""
    found = run(connection, hits_statement(schema, name, hits, misses)).fetchone()
    assert found is not None
    return _rated("counters", {"hits": found[0], "misses": found[1]})


def hits_statement(schema: str, name: str, hits: str, misses: str) -> Composable:
    """The sums of two columns of a cache table."""
    columns = [SQL("coalesce(sum({}), 0)::bigint").format(Identifier(column)) for column in (hits, misses)]
    return SQL("SELECT {}, {} FROM {}").format(*columns, Identifier(schema, name))


def _rated(of: str, found: Mapping[str, int]) -> dict[str, Any]:
    """`rate` is the share of hits, 0 to 1; None where there was no query yet."""
    total = found["hits"] + found["misses"]
    rate = round(found["hits"] / total, 4) if total else None
    return {"of": of, "hits": found["hits"], "misses": found["misses"], "rate": rate}
