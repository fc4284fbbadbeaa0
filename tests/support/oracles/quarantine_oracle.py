"""The judge of quarantine: which rows belong there, said by one recursive query over plain tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from support.oracles.oracle import Name, live, past
from support.runs.harness import Rebuild, Table, table

UUID = "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"


def aside(name: str) -> dict[str, str]:
    """A column of a plan whose rows are kept aside where its text is no uuid."""
    return {"name": name, "to": "uuid", "on_invalid": "quarantine"}


def null(name: str) -> dict[str, str]:
    return {"name": name, "to": "uuid", "on_invalid": "null"}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A table: its key, its columns that quarantine, and where it leads (columns → table, columns)."""

    key: Sequence[str]
    texts: Sequence[str] = ()
    leads: Sequence[tuple[Sequence[str], str, Sequence[str]]] = ()
    nulls: Sequence[str] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def planned(self, name: str) -> Table:
        columns = [*(aside(each) for each in self.texts), *(null(each) for each in self.nulls)]
        return table(name, columns=columns, **self.more)


Kinds = Mapping[str, Kind]


def _names(columns: Sequence[str], alias: str) -> Composable:
    return SQL(", ").join(SQL("{}::text").format(Identifier(alias, each)) for each in columns)


def _edges(kinds: Kinds, schema: str) -> list[Composable]:
    """Child and parent, each as a table's name and an array of its key."""
    return [
        SQL("SELECT {}, ARRAY[{}], {}, ARRAY[{}] FROM {} c JOIN {} p ON ({}) = ({})").format(
            name,
            _names(kind.key, "c"),
            to,
            _names(kinds[to].key, "p"),
            Identifier(schema, name),
            Identifier(schema, to),
            _names(columns, "c"),
            _names(wanted, "p"),
        )
        for name, kind in kinds.items()
        for columns, to, wanted in kind.leads
        if not set(columns) & set(kind.nulls)
    ]


def _bad(kinds: Kinds, schema: str) -> list[Composable]:
    return [
        SQL("SELECT {}, ARRAY[{}] FROM {} t WHERE {}.{} !~ {}").format(
            name,
            _names(kind.key, "t"),
            Identifier(schema, name),
            Identifier("t"),
            Identifier(text),
            UUID,
        )
        for name, kind in kinds.items()
        for text in kind.texts
    ]


def belonging(app: psycopg.Connection, kinds: Kinds, schema: str = "replank_past") -> set[tuple[str, str]]:
    """(table, key as text) of every row that belongs into quarantine."""
    union = SQL(" UNION ALL ")
    none = SQL("SELECT NULL, NULL::text[], NULL, NULL::text[] WHERE false")
    found = app.execute(
        SQL(
            "WITH RECURSIVE edge (child, child_key, parent, parent_key) AS ({edges}),"
            " aside (name, key) AS ({bad} UNION SELECT edge.child, edge.child_key FROM aside"
            " JOIN edge ON edge.parent = aside.name AND edge.parent_key = aside.key)"
            " SELECT name, key::text FROM aside"
        ).format(edges=union.join([none, *_edges(kinds, schema)]), bad=SQL(" UNION ").join(_bad(kinds, schema)))
    )
    return {(name, key) for name, key in found.fetchall()}


def kept(app: psycopg.Connection, rebuild: Rebuild) -> dict[tuple[str, str], dict[str, Any]]:
    """What Replank keeps aside: (table, key as text) → column, value, reason, row."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for each in rebuild.tables:
        if not each.spec.settles:
            continue
        query = SQL(
            'SELECT ARRAY(SELECT jsonb_array_elements_text(key))::text, "column", value, reason, "row" FROM {}'
        ).format(Identifier("replank", each.spec.quarantine_name))
        for key, column, value, reason, row in app.execute(query).fetchall():
            found[each.spec.name, key] = {"column": column, "value": value, "reason": reason, "row": row}
    return found


def check(app: psycopg.Connection, rebuild: Rebuild, kinds: Kinds, *, schema: str = "replank_past") -> int:
    """Past is live and quarantine together, and each row is where it belongs. Returns how many are kept aside."""
    wanted = belonging(app, kinds, schema)
    present = kept(app, rebuild)
    assert set(present) == wanted, set(present) ^ wanted
    for name, kind in kinds.items():
        keys = [key for table_name, key in wanted if table_name == name]
        assert _differences(app, name, kind, kinds, keys, schema) == [], name
        stored = sorted(repr(found["row"]) for (of, _), found in present.items() if of == name)
        rows = app.execute(
            SQL("SELECT to_jsonb(t.*) FROM {} t WHERE ARRAY[{}]::text = ANY (%s)").format(
                Identifier(schema, name), _names(kind.key, "t")
            ),
            [keys],
        )
        assert stored == sorted(repr(row) for (row,) in rows.fetchall()), name
    return len(wanted)


def _differences(
    app: psycopg.Connection, name: str, kind: Kind, kinds: Kinds, gone: Sequence[str], schema: str
) -> list[tuple[str, str]]:
    """As `oracle.differences`, with the rows in `gone` left out and references to rows that are gone as NULL."""
    before: Name = past(name)
    after: Name = live(name)
    del schema
    columns = [
        column
        for (column,) in app.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = format('%%I.%%I', %s::text, %s::text)::regclass"
            " AND attnum > 0 AND NOT attisdropped ORDER BY attname",
            after,
        ).fetchall()
    ]
    nowhere = {column for cols, _, _ in kind.leads for column in cols if column in kind.nulls}
    were = [
        SQL("CASE WHEN {c} ~ {uuid} AND {led} THEN {c}::uuid END").format(
            c=Identifier("b", column), uuid=UUID, led=_led(kind, kinds, column, column in nowhere)
        )
        if column in kind.nulls
        else SQL("{}::uuid" if column in kind.texts else "{}").format(Identifier("b", column))
        for column in columns
    ]
    found = app.execute(
        SQL(
            "WITH b AS (SELECT ROW({were})::text AS r FROM (SELECT * FROM {before} b"
            " WHERE ARRAY[{key}]::text <> ALL (%s) OFFSET 0) AS b), a AS (SELECT ROW({are})::text AS r FROM {after})"
            " SELECT 'before', r FROM (SELECT r FROM b EXCEPT ALL SELECT r FROM a) AS x"
            " UNION ALL SELECT 'after', r FROM (SELECT r FROM a EXCEPT ALL SELECT r FROM b) AS x"
        ).format(
            were=SQL(", ").join(were),
            before=Identifier(*before),
            key=_names(kind.key, "b"),
            are=SQL(", ").join(Identifier(column) for column in columns),
            after=Identifier(*after),
        ),
        [list(gone)],
    )
    return [(side, row) for side, row in found.fetchall()]


def _led(kind: Kind, kinds: Kinds, column: str, leads: bool) -> Composable:
    """Whether what a nullable reference leads to is in the new table."""
    if not leads:
        return SQL("true")
    columns, to, wanted = next(lead for lead in kind.leads if column in lead[0])
    del kinds
    return SQL("EXISTS (SELECT FROM {} p WHERE ({}) = ({}))").format(
        Identifier("public", to), _names(wanted, "p"), _names(columns, "b")
    )
