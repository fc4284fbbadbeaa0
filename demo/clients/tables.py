"""What an application knows about its tables: keys, the columns it follows, and the foreign keys.

Written by hand on purpose, not read from the catalogue: it is what the application expects, before and
after its database was rebuilt.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

Row = dict[str, str | None]
"""Column -> its value as the server prints it."""

Key = tuple[str, ...]


class OnDelete(Enum):
    """What the database does with a child when its parent goes."""

    CASCADE = "cascade"
    SET_NULL = "set null"
    RESTRICT = "restrict"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as the application sees it.

    key: the columns that name a row; columns: those the application knows and later compares, the key
    included; ids: those of them that hold uuids, spelled in any way, and id_lists those that hold arrays
    of uuids; made: those that the database makes when a row is inserted; stamped: columns that the
    application sets to the present time with each write, and does not compare. Defaults, triggers and
    sequences fill all others.
    """

    schema: str
    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    ids: frozenset[str] = frozenset()
    id_lists: frozenset[str] = frozenset()
    made: tuple[str, ...] = ()
    stamped: tuple[str, ...] = ()

    @property
    def written(self) -> tuple[str, ...]:
        """The columns of an INSERT, in order."""
        return tuple(column for column in self.columns if column not in self.made)

    def same(self, column: str, one: str | None, other: str | None) -> bool:
        """Whether two values mean the same: a uuid column prints what a text column was given in its own way."""
        if one is None or other is None or column not in self.ids | self.id_lists:
            return one == other
        return canonical_text(one) == canonical_text(other)


def canonical_text(text: str) -> str:
    """One spelling for all of a uuid's, also inside of an array's text."""
    return text.lower().replace("-", "")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A foreign key. All of them are ON UPDATE CASCADE."""

    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_delete: OnDelete


class Tables:
    """All tables of one application, by name, and the foreign keys between them.

    references_to: parent table -> the foreign keys that point at it; references_of: child table -> its own.
    """

    def __init__(self, tables: Iterable[Table], references: Iterable[Reference]) -> None:
        self.by_name = {table.name: table for table in tables}
        self.references = tuple(references)
        self.references_to = {name: tuple(r for r in self.references if r.parent == name) for name in self.by_name}
        self.references_of = {name: tuple(r for r in self.references if r.child == name) for name in self.by_name}

    def __getitem__(self, name: str) -> Table:
        return self.by_name[name]


def table(
    name: str,
    key: str,
    columns: str = "",
    *,
    schema: str = "public",
    ids: str = "",
    id_lists: str = "",
    made: str = "",
    stamped: str = "",
) -> Table:
    """A table whose columns are named with spaces between; `columns` are those besides the key."""
    return Table(
        schema=schema,
        name=name,
        key=tuple(key.split()),
        columns=(*key.split(), *columns.split()),
        ids=frozenset(ids.split()),
        id_lists=frozenset(id_lists.split()),
        made=tuple(made.split()),
        stamped=tuple(stamped.split()),
    )


def reference(child: str, columns: str, parent: str, on_delete: OnDelete, parent_columns: str = "id") -> Reference:
    """A foreign key whose columns are named with spaces between."""
    return Reference(
        child=child,
        columns=tuple(columns.split()),
        parent=parent,
        parent_columns=tuple(parent_columns.split()),
        on_delete=on_delete,
    )
