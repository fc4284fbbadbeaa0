"""SQL for the value of a column in row number `g`: all of it is arithmetic, so the same rows come each time."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg.sql import SQL, Composable, Literal

from demo.datasets.platform.shape import Column, Table
from demo.datasets.platform.words import REFERS, WORDS

_MODIFIER = re.compile(r"\([\d,]+\)")

_ODD_EVERY, _UPPER, _BARE = 211, 7, 8
"""Of so many ids one is in capitals and one has no hyphens, wherever it stands."""

G = SQL("g")


@dataclass(frozen=True, kw_only=True)
class Values:
    """Composes values. `counts` is table -> rows, of all tables; `places` says which column is which key's digit."""

    seed: int
    counts: Mapping[str, int]
    places: Mapping[tuple[str, str], Composable] = field(default_factory=dict)

    def of(self, table: Table, column: Column) -> Composable:
        """The column's value, NULL now and then where that may be."""
        place = self.places.get((table.name, column.name))
        made = self._made(table, column, place)
        salt = _salt(table.name, column.name)
        if not column.nullable or place is not None:
            return made
        if column.parent is not None and column.parent[0] == table.name:
            return SQL("CASE WHEN g % 5 <> 1 THEN {} END").format(made)
        return SQL("CASE WHEN (g + {}) % 5 > 0 THEN {} END").format(Literal(salt), made)

    def _made(self, table: Table, column: Column, place: Composable | None) -> Composable:
        if column.parent is not None:
            to, key = column.parent
            return self._key(to, key, column.type, self._row_of(table, column, to) if place is None else place)
        if column.sequence:
            return G
        if column.name in ("id", "uuid"):
            return self._key(table.name, column.name, column.type, G)
        words = WORDS.get(f"{table.name}.{column.name}")
        if words is not None:
            which = _spread(table.name, column.name, len(words)) if place is None else place
            return SQL("({})[{}]").format(_array(words), which)
        return self._plain(table, column, G if place is None else place)

    def _row_of(self, table: Table, column: Column, to: str) -> Composable:
        """Which row of the parent; a table's own parent comes before its child."""
        if to == table.name:
            return SQL("greatest(1, g / 2)")
        return _spread(table.name, column.name, self.counts[to])

    def _key(self, table: str, column: str, kind: str, row: Composable) -> Composable:
        """The key of a row of a table: the same wherever it stands."""
        if kind in ("integer", "bigint"):
            return row
        if table == "Locale":
            return SQL("'c' || ({})").format(row)
        said = f"{table}.{column}:{self.seed}:"
        uuid = SQL("md5({} || ({}))::uuid").format(Literal(said), row)
        if kind == "uuid":
            return uuid
        odd = SQL(
            "CASE ({}) % {} WHEN {} THEN upper({}::text) WHEN {} THEN replace({}::text, '-', '') ELSE {}::text END"
        )
        return odd.format(row, Literal(_ODD_EVERY), Literal(_UPPER), uuid, Literal(_BARE), uuid, uuid)

    def _referred(self, table: Table, column: Column, more: int = 0) -> Composable:
        to, _, key = REFERS[column.name].partition(".")
        row = _spread(table.name, f"{column.name}{more or ''}", self.counts[to])
        return self._key(to, key or "id", "uuid" if key else "text", row)

    def _plain(self, table: Table, column: Column, n: Composable) -> Composable:
        bare = _MODIFIER.sub("", column.type).removesuffix("[]")
        if column.labels:
            return SQL("({})[1 + g % {}]::{}").format(
                _array(column.labels), Literal(len(column.labels)), SQL(column.type)
            )
        if column.type == "text[]":
            if column.name not in REFERS:
                return SQL("ARRAY['all', {} || g % 9]").format(Literal(column.name))
            ids = [SQL("({})::text").format(self._referred(table, column, more)) for more in (1, 2)]
            return SQL("CASE WHEN g % 3 = 0 THEN '{{}}' ELSE ARRAY[{}] END").format(SQL(", ").join(ids))
        if bare == "jsonb":
            user = self._key("User", "id", "text", _spread(table.name, column.name, self.counts["User"]))
            # A third of what jsonb_build_object takes.
            return SQL("""('{{"n": ' || g || ', "by": "' || {} || '"}}')::jsonb""").format(user)
        if bare in ("text", "character varying", "character"):
            if column.name in REFERS:
                return self._referred(table, column)
            return SQL("({} || ({}))::{}").format(Literal(_stem(column)), n, SQL(column.type))
        return SQL(_BY_TYPE[bare]).format(n=n, count=Literal(self.counts[table.name]))


# `{{n}}` is the row, or the digit of a key.
_BY_TYPE: Mapping[str, str] = {
    "integer": "({n})::int % 100000",
    "bigint": "({n})::bigint * 37",
    "smallint": "({n})::int % 100",
    "numeric": "({n})::numeric % 9000 / 10",
    "double precision": "({n})::float8 / 7",
    "boolean": "({n}) % 3 = 0",
    "timestamp without time zone": "timestamp '2024-01-01' + g::float8 / {count} * interval '690 days'",
    "timestamp with time zone": "timestamptz '2024-01-01 00:00Z' + g::float8 / {count} * interval '690 days'",
    "date": "date '2024-01-01' + ({n})::int % 2000",
    "inet": "'10.0.0.0'::inet + ({n})::int % 65536",
    "bytea": "decode(md5(({n})::text), 'hex')",
}


def _stem(column: Column) -> str:
    """How a text begins; narrow columns have little room."""
    return column.name[:1] if column.type != "text" else f"{column.name} "


def _array(words: tuple[str, ...]) -> Composable:
    return SQL("ARRAY[{}]").format(SQL(", ").join(Literal(word) for word in words))


def _spread(table: str, column: str, over: int) -> Composable:
    """A number from 1 to `over`, scattered over the rows."""
    return SQL("1 + (g * 7919 + {}) % {}").format(Literal(_salt(table, column)), Literal(over))


def _salt(table: str, column: str) -> int:
    """A small number that is another one for each column, and always the same for one."""
    return zlib.crc32(f"{table}.{column}".encode()) % 1_000
