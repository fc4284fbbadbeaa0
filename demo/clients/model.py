"""What one client's rows must look like: the database's foreign-key actions, repeated in memory.

A client changes only rows it owns, so this model knows their content exactly. Changes belong to a
transaction: they are kept on commit, undone on rollback, and given up when the outcome is unknown.
"""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass

from demo.clients.tables import Key, OnDelete, Reference, Row, Tables


class StillReferenced(ValueError):
    """The row has children that its ON DELETE RESTRICT foreign key protects."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """How one row was before a change: `before` None means there was none."""

    table: str
    key: Key
    before: Row | None


class Model:
    """The rows of one client.

    rows: table -> key -> row, columns as the server prints them; gone: keys that must not be there (any
    more); unknown: keys whose last transaction's outcome is unknown; counters: (table, column, id of a
    row shared with other clients) -> acknowledged increments.
    """

    def __init__(self, tables: Tables, rng: random.Random) -> None:
        self.tables = tables
        self.rows: dict[str, dict[Key, Row]] = {name: {} for name in tables.by_name}
        self.gone: set[tuple[str, Key]] = set()
        self.unknown: set[tuple[str, Key]] = set()
        self.unknown_counters: set[tuple[str, str, str]] = set()
        self.counters: Counter[tuple[str, str, str]] = Counter()
        self._rng = rng
        self._changes: list[Change] = []
        self._increments: list[tuple[tuple[str, str, str], int]] = []
        self._children: dict[Reference, dict[Key, set[Key]]] = {
            reference: defaultdict(set) for reference in tables.references
        }
        # Keys to draw from at random; one whose row is gone is thrown out when it is drawn.
        self._urn: dict[str, list[Key]] = {name: [] for name in tables.by_name}

    def put(self, table: str, row: Row) -> Key:
        """Insert or replace a row; returns its key."""
        key = _values(row, self.tables[table].key)
        assert key is not None, f"a row of {table} without a key"
        self._set(table, key, row)
        return key

    def update(self, table: str, key: Key, **values: str | None) -> None:
        """Change columns of a row; where its key changes, the children follow (ON UPDATE CASCADE)."""
        before = self.rows[table][key]
        after = {**before, **values}
        if self.put(table, after) != key:
            self._set(table, key, None)
            for reference in self.tables.references_to[table]:
                old = _values(before, reference.parent_columns)
                for child in self.children(reference, old):
                    moved = {
                        column: after[parent]
                        for column, parent in zip(reference.columns, reference.parent_columns, strict=True)
                    }
                    self.update(reference.child, child, **moved)

    def delete(self, table: str, key: Key) -> None:
        """Delete a row and do to its children what the foreign keys say. Raises StillReferenced."""
        row = self.rows[table][key]
        self._set(table, key, None)
        for reference in self.tables.references_to[table]:
            for child in self.children(reference, _values(row, reference.parent_columns)):
                if reference.on_delete is OnDelete.RESTRICT:
                    raise StillReferenced(f"{table} {key} by {reference.child} {child}")
                if reference.on_delete is OnDelete.SET_NULL:
                    self.update(reference.child, child, **dict.fromkeys(reference.columns))
                elif child in self.rows[reference.child]:
                    # It may have gone by another way: a redemption hangs on an order and on a rule.
                    self.delete(reference.child, child)

    def children(self, reference: Reference, parent: Key | None) -> list[Key]:
        """Keys of the client's own rows that point at `parent`."""
        return list(self._children[reference].get(parent, ())) if parent is not None else []

    def children_in(self, child: str, parent_table: str, parent: Key) -> list[Key]:
        """Keys of the own rows of table `child` that point at this row of `parent_table`."""
        return [
            key
            for reference in self.tables.references_to[parent_table]
            if reference.child == child
            for key in self.children(reference, parent)
        ]

    def pick(self, table: str) -> Key | None:
        """One of the own rows' keys at random, or None when there is none."""
        urn = self._urn[table]
        while urn:
            place = self._rng.randrange(len(urn))
            key = urn[place]
            if key in self.rows[table]:
                return key
            urn[place] = urn[-1]
            urn.pop()
        return None

    def count(self, table: str, column: str, row_id: str, by: int) -> None:
        """Remember an increment of a shared row."""
        self._increments.append(((table, column, row_id), by))

    def commit(self) -> int:
        """The transaction was acknowledged; returns how many row changes it made."""
        for counter, by in self._increments:
            self.counters[counter] += by
        made = len(self._changes) + len(self._increments)
        self._clear()
        return made

    def rollback(self) -> None:
        """The transaction did not happen: everything as it was before.

        Keys that only it had stay in `gone`: a rolled back row must never turn up.
        """
        for change in reversed(self._changes):
            self._apply(change.table, change.key, change.before)
        self._clear()

    def give_up(self) -> None:
        """The transaction's outcome is unknown: forget its rows, and say so.

        The other rows are still known exactly, but what hangs on them is not: an item may or may not be
        gone from its order. So from here on the client works with new rows only.
        """
        self.unknown_counters.update(counter for counter, _ in self._increments)
        for change in self._changes:
            self._apply(change.table, change.key, None)
            self.gone.discard((change.table, change.key))
            self.unknown.add((change.table, change.key))
        for urn in self._urn.values():
            urn.clear()
        self._clear()

    def _clear(self) -> None:
        self._changes.clear()
        self._increments.clear()

    def _set(self, table: str, key: Key, row: Row | None) -> None:
        self._changes.append(Change(table=table, key=key, before=self.rows[table].get(key)))
        self._apply(table, key, row)

    def _apply(self, table: str, key: Key, row: Row | None) -> None:
        """Put the row (None: none) in place and keep the index of children right."""
        before = self.rows[table].pop(key, None)
        for reference in self.tables.references_of[table]:
            if before is not None and (parent := _values(before, reference.columns)) is not None:
                self._children[reference][parent].discard(key)
            if row is not None and (parent := _values(row, reference.columns)) is not None:
                self._children[reference][parent].add(key)
        if row is None:
            self.gone.add((table, key))
        else:
            self.rows[table][key] = row
            self.gone.discard((table, key))
            if before is None:
                self._urn[table].append(key)


def _values(row: Row, columns: tuple[str, ...]) -> Key | None:
    """The row's values of these columns, or None when one of them is NULL (MATCH SIMPLE)."""
    values = tuple(value for column in columns if (value := row[column]) is not None)
    return values if len(values) == len(columns) else None
