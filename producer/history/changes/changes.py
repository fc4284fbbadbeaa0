"""What models are to learn: one value for each thing that changed in the database.

They come from a plan or from wherever else; whoever rewrites models by them knows nothing of plans. Tables are
named as they are BEFORE the change, columns too, except in the renames' own `to`. Renames are made last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Table = tuple[str, str]
"""Schema and name, as the database has them."""


@dataclass(frozen=True, kw_only=True)
class ToUuid:
    """A text column, or an array of texts, that is uuid now.

    `default` is the database's own default as `pg_get_expr` writes it. Empty: the database has none, so what the
    file says stays (`uuid()` is made by the client).
    """

    table: Table
    column: str
    default: str = ""


@dataclass(frozen=True, kw_only=True)
class AddedColumn:
    """A column that came in. `type` is `format_type`'s spelling of its type, `default` that of `pg_get_expr`.

    `enum` says that the type is an enum. `unique` is the name of its unique index, empty where it has none.
    """

    table: Table
    column: str
    type: str
    not_null: bool = False
    default: str = ""
    unique: str = ""
    enum: bool = False


@dataclass(frozen=True, kw_only=True)
class SettledColumn:
    """A column that may not be NULL now, or has a default of the database's (as `pg_get_expr` writes it)."""

    table: Table
    column: str
    not_null: bool = False
    default: str = ""


@dataclass(frozen=True, kw_only=True)
class ToEnum:
    """A text column that is an enum now. The enum's block is added where the file has none of that type.

    `default` is the database's own default as `pg_get_expr` writes it, empty where what the file says stays.
    """

    table: Table
    column: str
    enum: Table
    labels: tuple[str, ...]
    default: str = ""


@dataclass(frozen=True, kw_only=True)
class EnumValues:
    """An enum type with these labels: its block is added where the file has none, and values that it lacks.

    `renamed` holds labels that have another name now, (before, after): neither is a new value.
    """

    enum: Table
    labels: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class KeyChanged:
    """A key or index called `name` that is over other columns, or of another kind, than it was."""

    table: Table
    name: str
    kind: Literal["id", "unique", "index"]
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AddedIndex:
    """An index that came in. `method` is PostgreSQL's name of it; Prisma reads `include` as columns, too."""

    table: Table
    name: str
    columns: tuple[str, ...]
    unique: bool = False
    method: str = "btree"
    include: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LostForeignKey:
    """A foreign key that is gone, because what it led to is unique no longer: Prisma has no relation without it."""

    table: Table
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RenamedTable:
    """`kept_names` false: constraints and indexes were renamed too, to what Prisma derives from the new name."""

    table: Table
    to: str
    kept_names: bool = True


@dataclass(frozen=True, kw_only=True)
class RenamedColumn:
    table: Table
    column: str
    to: str
    kept_names: bool = True


@dataclass(frozen=True, kw_only=True)
class RenamedEnum:
    """`labels` holds the values that have another label now: (before, after)."""

    enum: Table
    to: str = ""
    labels: tuple[tuple[str, str], ...] = field(default=())


Change = (
    ToUuid
    | AddedColumn
    | SettledColumn
    | ToEnum
    | EnumValues
    | KeyChanged
    | AddedIndex
    | LostForeignKey
    | RenamedTable
    | RenamedColumn
    | RenamedEnum
)
