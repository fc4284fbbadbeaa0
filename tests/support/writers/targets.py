"""The tables that clients write to, and how new values for their columns are made."""

import json
import random
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Placeholder

_TEMPLATES = 25  # rows per table whose values new rows are made of
_TEXT = frozenset({"text", "varchar"})
_WHOLE = frozenset({"int4", "int8"})
_TIME = frozenset({"timestamp", "timestamptz"})

Values = dict[str, str | None]  # column -> text as the server prints it

_COLUMNS = """
SELECT a.attname::text, t.typname::text, a.attnum, a.attnotnull,
       a.attidentity <> '' OR a.attgenerated <> ''
         OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%%', false),
       CASE WHEN t.typname = 'varchar' AND a.atttypmod > 4 THEN a.atttypmod - 4 END,
       EXISTS (SELECT FROM pg_constraint k
                WHERE k.conrelid = a.attrelid AND k.contype = 'f' AND a.attnum = ANY (k.conkey)),
       EXISTS (SELECT FROM pg_constraint k
                WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND a.attnum = ANY (k.conkey))
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_UNIQUE_KEYS = """
SELECT i.indisprimary, i.indnullsnotdistinct OR i.indexprs IS NOT NULL OR NOT i.indisunique,
       (i.indkey::int2[])[0:i.indnkeyatts - 1]
  FROM pg_index i WHERE i.indrelid = %(oid)s AND (i.indisunique OR i.indisexclusion)
 ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid
"""

_TABLES = """
SELECT c.oid, n.nspname::text, c.relname::text,
       EXISTS (SELECT FROM pg_constraint k WHERE k.confrelid = c.oid AND k.contype = 'f')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> 'information_schema'
   AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT LIKE 'replank%'
 ORDER BY 2, 3
"""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One table that is written to. ``fresh``: column -> how to make a value that no row has yet."""

    schema: str
    name: str
    key: list[str]
    automatic: list[str]
    fresh: dict[str, str]
    changeable: list[str]  # may take the value of any template row
    stamps: dict[str, str]  # column -> how to make a new value for each write
    templates: list[Values]
    may_change_key: bool

    @property
    def identifier(self) -> Identifier:
        return Identifier(self.schema, self.name)


def read_targets(connection: psycopg.Connection, wanted: Sequence[tuple[str, str]] | None) -> list[Target]:
    """The tables to write to: ``wanted``, or every table that new rows can be made for.

    Raises ``ValueError`` for a wanted table that does not exist, has no rows to take as templates, no
    primary key, or a unique key of foreign keys only.
    """
    found: list[Target] = []
    names: set[tuple[str, str]] = set()
    for oid, schema, name, is_referenced in connection.execute(_TABLES).fetchall():
        if wanted is not None and (schema, name) not in wanted:
            continue
        names.add((schema, name))
        target = _read_target(connection, oid, schema, name, is_referenced=is_referenced)
        if isinstance(target, Target):
            found.append(target)
        elif wanted is not None:
            raise ValueError(f"cannot write to {schema}.{name}: {target}")
    missing = set(wanted or ()) - names
    if missing:
        raise ValueError(f"no such tables: {sorted(missing)}")
    if not found:
        raise ValueError("there is no table that new rows can be made for")
    return found


def _read_target(
    connection: psycopg.Connection, oid: int, schema: str, name: str, *, is_referenced: bool
) -> Target | str:
    columns = connection.execute(_COLUMNS, {"oid": oid}).fetchall()
    automatic = [column[0] for column in columns if column[4]]
    names = SQL(", ").join(SQL("{}::text").format(Identifier(c[0])) for c in columns)
    query = SQL("SELECT {} FROM {} LIMIT {}").format(names, Identifier(schema, name), _TEMPLATES)
    rows = connection.execute(query).fetchall()
    templates = [dict(zip((c[0] for c in columns), row, strict=True)) for row in rows]
    if not templates:
        return "it has no rows to take as templates"
    makers = {c[0]: maker for c in columns if (maker := _maker(c, [t[c[0]] for t in templates]))}
    by_number = {column[2]: column for column in columns}
    key: list[str] = []
    fresh: dict[str, str] = {}
    unique: set[str] = set()
    for is_primary, is_special, numbers in connection.execute(_UNIQUE_KEYS, {"oid": oid}).fetchall():
        if is_special:
            return "it has an exclusion constraint or a unique key of an unusual kind"
        parts = [by_number[number] for number in numbers]
        unique.update(part[0] for part in parts)
        key = [part[0] for part in parts] if is_primary else key
        if any(part[0] in automatic or part[0] in fresh for part in parts):
            continue
        carriers = sorted((_carrier_rank(makers[p[0]]), p[0]) for p in parts if p[0] in makers and not p[6])
        nullable = [part[0] for part in parts if not part[3]]
        if not carriers and not nullable:
            return "a unique key has no column that could be made fresh"
        chosen = carriers[0][1] if carriers else nullable[0]
        fresh[chosen] = makers[chosen] if carriers else "null"
    if not key:
        return "it has no primary key"
    free = [c for c in columns if c[0] not in unique and c[0] not in automatic]
    return Target(
        schema=schema,
        name=name,
        key=key,
        automatic=automatic,
        fresh=fresh,
        changeable=[c[0] for c in free if not c[7]],
        stamps={c[0]: makers[c[0]] for c in free if c[0] in makers and not c[6] and not c[7]},
        templates=[{c: v for c, v in t.items() if c not in automatic} for t in templates],
        may_change_key=not is_referenced and any(column in fresh for column in key),
    )


def _maker(column: tuple[Any, ...], samples: Sequence[str | None]) -> str | None:
    """How to make new values for a column: a text column that shows nothing but uuids gets uuids, because
    it may turn into a uuid column at any moment. None: leave it to the templates."""
    _, type_name, _, _, _, limit, _, is_checked = column
    known = [sample for sample in samples if sample is not None]
    if is_checked:
        return None
    if type_name == "uuid":
        return "uuid"
    if type_name in _TEXT:
        are_uuids = [_is_uuid(text) for text in known]
        if all(are_uuids):
            return "uuid" if limit is None or limit >= 36 else None
        if limit is not None and limit < 36:
            return None
        are_dates = all(re.match(r"\d{4}-\d\d-\d\d$", text) for text in known)
        return "mixed" if any(are_uuids) else "date" if are_dates else "text"
    if type_name in _WHOLE or type_name == "float8":
        return "whole"
    if type_name in _TIME:
        return "time"
    return "json" if type_name in {"json", "jsonb"} else None


def _is_uuid(text: str) -> bool:
    """In any spelling, braces and upper case too: such a column may be converted as well."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _carrier_rank(maker: str) -> int:
    return ["text", "mixed", "uuid", "whole", "time", "date", "json"].index(maker)


def make_value(maker: str, chance: random.Random) -> str | None:
    """A value that was not there before (as far as the type has room for it), as text."""
    number = chance.getrandbits(62)
    if maker == "uuid" or (maker == "mixed" and number % 2):
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))
    if maker == "whole":
        return str(1_000_000_000 + number % 1_147_000_000)
    if maker == "time":
        day = f"{2026 + number % 3}-{1 + number % 12:02}-{1 + number % 28:02}"
        return f"{day} {number % 24:02}:{number % 59:02}:{number % 58:02}.{number % 1000:03}"
    if maker == "date":
        return f"{2030 + number % 5000}-{1 + number % 12:02}-{1 + number % 28:02}"
    if maker == "json":
        return json.dumps({"writer": number, "text": "é \" '\\ 日本"})
    return None if maker == "null" else f"w-{number:016x}"


def where_key(target: Target, count: int) -> Composable:
    """``key IN (…)`` with untyped parameters, so that the index serves it whatever the column's type is."""
    marks = SQL("({})").format(SQL(", ").join(Placeholder() * len(target.key)))
    columns = SQL(", ").join(map(Identifier, target.key))
    if len(target.key) == 1:
        return SQL("{} IN ({})").format(columns, SQL(", ").join(Placeholder() * count))
    return SQL("({}) IN ({})").format(columns, SQL(", ").join([marks] * count))
