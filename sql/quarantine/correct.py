"""One corrected value of one live row, and with it every value that refers to it, through any number of foreign keys.

Foreign keys are checked when a statement ends, so all of it is one statement, with one UPDATE for each table. Rows
are found by what they refer to, not by whether they are quarantined: a reference that the plan makes NULL, or that was
written a moment ago, goes along as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from psycopg.sql import SQL, Composable, Identifier, Literal

from replank.values.reference import Equality
from replank.values.table_spec import TableSpec
from sql.session.connection import Connection, run
from sql.session.table_names import live_table
from sql.values.conversion import is_convertible, type_name
from sql.values.equality_operators import equal, leads_to

Place = tuple[int, str]
"""A table's oid and a column."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """The text that one column of one live row shall have; `before` is what it had when the row was quarantined."""

    spec: TableSpec
    key: tuple[str, ...]
    column: str
    before: str | None
    value: str


@dataclass(frozen=True, kw_only=True)
class _Key:
    """A foreign key between two whole tables."""

    table: int
    ref_table: int
    columns: tuple[str, ...]
    ref_columns: tuple[str, ...]
    equality: tuple[Equality, ...]


def converts(connection: Connection, change: Change) -> bool:
    """Whether the new text is one of those that the column's conversion takes."""
    column = next(c for c in change.spec.columns if c.name == change.column)
    if column not in change.spec.quarantining_columns:
        return True
    text = SQL("{}::{}").format(Literal(change.value), type_name(column.live_type))
    asked = SQL("SELECT {} IS NOT FALSE").format(is_convertible(column, text, connection.info.server_version))
    found = run(connection, asked).fetchone()
    return found is not None and bool(found[0])


def change_with_all_that_refers(
    connection: Connection, change: Change, specs: Iterable[TableSpec], foreign_keys: Iterable[Mapping[str, Any]]
) -> dict[str, int]:
    """In the caller's transaction. Changed rows by table, the row itself included; none where it has changed meanwhile.

    `foreign_keys` are the ledger's documents.
    """
    by_oid = {spec.oid: spec for spec in specs}
    following = _Following(change=change, by_oid=by_oid, keys=_keys(foreign_keys, by_oid))
    places: dict[int, list[str]] = {}
    for oid, column in following.reached():
        places.setdefault(oid, []).append(column)
    names = {oid: Identifier(f"changed_{oid}") for oid in places}
    statement = SQL("WITH {} {}").format(
        SQL(", ").join(
            SQL("{} AS ({})").format(names[oid], following.update(oid, columns)) for oid, columns in places.items()
        ),
        SQL(" UNION ALL ").join(
            SQL("SELECT {}, count(*) FROM {}").format(Literal(oid), name) for oid, name in names.items()
        ),
    )
    changed: dict[int, int] = dict(run(connection, statement).fetchall())
    return {by_oid[oid].full_name: rows for oid, rows in changed.items() if rows}


def _keys(documents: Iterable[Mapping[str, Any]], by_oid: Mapping[int, TableSpec]) -> list[_Key]:
    """Each once: partitions have the key of their whole table."""
    found = (
        _Key(
            table=each["table_oid"],
            ref_table=each["ref_oid"],
            columns=tuple(each["columns"]),
            ref_columns=tuple(each["ref_columns"]),
            equality=tuple(tuple(part) for part in each["equality"]),
        )
        for each in documents
    )
    return list(dict.fromkeys(key for key in found if key.table in by_oid and key.ref_table in by_oid))


@dataclass(frozen=True, kw_only=True)
class _Following:
    """Which columns of which tables the change reaches, and by which condition."""

    change: Change
    by_oid: Mapping[int, TableSpec]
    keys: Sequence[_Key]

    @property
    def start(self) -> Place:
        return (self.change.spec.oid, self.change.column)

    def reached(self) -> list[Place]:
        """The column itself, then those that refer to it, then those that refer to these."""
        found = [self.start]
        for place in found:
            found += [child for child, _, _ in self._referring(place) if child not in found]
        return found

    def _referring(self, place: Place) -> list[tuple[Place, Place, _Key]]:
        """Child, parent and key of each reference to a column."""
        return [
            ((key.table, column), place, key)
            for key in self.keys
            for column, ref in zip(key.columns, key.ref_columns, strict=True)
            if (key.ref_table, ref) == place
        ]

    def update(self, oid: int, columns: Sequence[str]) -> Composable:
        spec = self.by_oid[oid]
        types = {column.name: type_name(column.live_type) for column in spec.columns}
        conditions = {column: self._meant((oid, column), "live", (), count(1)) for column in columns}
        assigned = (
            SQL("{name} = CASE WHEN {meant} THEN {value}::{type} ELSE {live} END").format(
                name=Identifier(column),
                meant=meant,
                value=Literal(self.change.value),
                type=types[column],
                live=Identifier("live", column),
            )
            for column, meant in conditions.items()
        )
        return SQL("UPDATE {} AS live SET {} WHERE {} RETURNING 1").format(
            _source(spec), SQL(", ").join(assigned), SQL(" OR ").join(conditions.values())
        )

    def _meant(self, place: Place, alias: str, path: tuple[Place, ...], numbers: count[int]) -> Composable:
        """Whether this column of the row called `alias` has to change: the row itself, or it refers to one that has."""
        said = [self._chosen(alias)] if place == self.start else []
        path = (*path, place)
        for parent in (p for p in self.reached() if p not in path):
            for child, _, key in self._referring(parent):
                if child == place:
                    name = f"parent_{next(numbers)}"
                    said.append(
                        SQL("EXISTS (SELECT FROM {} AS {} WHERE {} AND {})").format(
                            _source(self.by_oid[key.ref_table]),
                            Identifier(name),
                            leads_to(
                                [Identifier(alias, column) for column in key.columns],
                                key.ref_columns,
                                key.equality,
                                parent=name,
                            ),
                            self._meant(parent, name, path, numbers),
                        )
                    )
        return SQL("({})").format(SQL(" OR ").join(said)) if said else SQL("false")

    def _chosen(self, alias: str) -> Composable:
        change = self.change
        key = [
            equal(c, Identifier(alias, c.name), SQL("{}::{}").format(Literal(text), type_name(c.live_type)))
            for c, text in zip(change.spec.key_columns, change.key, strict=True)
        ]
        before = SQL('{}::pg_catalog.text COLLATE "C" IS NOT DISTINCT FROM {}').format(
            Identifier(alias, change.column), Literal(change.before)
        )
        return SQL("({})").format(SQL(" AND ").join([*key, before]))


def _source(spec: TableSpec) -> Composable:
    return SQL("{}{}").format(SQL("" if spec.partitioned else "ONLY "), live_table(spec))
