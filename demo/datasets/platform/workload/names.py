"""What the platform's tables are called before step 07 and after it, and whether new clients can work yet."""

import re
from collections.abc import Iterable
from typing import Any

import psycopg

from demo.clients.names import AS_WRITTEN, Names
from demo.clients.tables import Table
from demo.datasets.platform.workload.tables import KNOWN, PLATFORM

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_UNREADY = """
SELECT w.relation, w.attribute
  FROM unnest(%(relations)s::text[], %(attributes)s::text[], %(types)s::text[]) AS w (relation, attribute, type)
  LEFT JOIN pg_class AS c ON c.relnamespace = 'public'::regnamespace AND c.relname = w.relation
                         AND c.relkind IN ('r', 'p')
  LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = w.attribute
                             AND format_type(a.atttypid, NULL) = w.type
 WHERE a.attname IS NULL
"""


def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower()


def _mapped(tables: Iterable[Table]) -> Names:
    """Tables whose names were in that style already keep them, and so do their columns."""
    changed = [table for table in tables if _snake(table.name) != table.name and not table.name.startswith("_")]
    return Names(
        tables={table.name: _snake(table.name) for table in changed},
        columns={
            (table.name, column): _snake(column)
            for table in changed
            for column in (*table.columns, *table.stamped, "createdAt")
        },
    )


MAPPED = _mapped(KNOWN.values())


def names_now(connection: psycopg.Connection[Any]) -> Names:
    """The new names where they are there, else the old ones."""
    (found,) = connection.execute("SELECT to_regclass('public.activity_event')").fetchone() or (None,)
    return AS_WRITTEN if found is None else MAPPED


def is_ready(connection: psycopg.Connection[Any]) -> bool:
    """Whether everything that clients of the new style use is there: tables by their new names, ids as uuids."""
    wanted = [
        (
            MAPPED.tables.get(table.name, table.name),
            MAPPED.columns.get((table.name, column), column),
            "uuid" if column in table.ids else "uuid[]",
        )
        for table in PLATFORM.by_name.values()
        for column in sorted(table.ids | table.id_lists)
    ]
    relations, attributes, types = (list(part) for part in zip(*wanted, strict=True))
    given = {"relations": relations, "attributes": attributes, "types": types}
    return not connection.execute(_UNREADY, given).fetchall()
