"""What the catalogue knows of tables that are to be renamed, and of what uses them by name."""

from __future__ import annotations

from dataclasses import dataclass

from sql.session.connection import Connection, rows
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class Renamable:
    """A table of the application. `parents` are those it inherits from in the classic way.

    `read_by_column`: some role may read single columns of it only.
    """

    oid: int
    schema: str
    name: str
    row_security: bool
    of_extension: bool
    subscribed: bool
    published: bool
    read_by_column: bool
    parents: tuple[int, ...]

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class WrittenFunction:
    """A function whose body is a text."""

    schema: str
    name: str
    text: str

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


def read_renamable(connection: Connection) -> list[Renamable]:
    """Every table that is no partition and not temporary, by schema and name."""
    return [Renamable(**{**r, "parents": tuple(r["parents"])}) for r in rows(connection, query("mappings.renamed"))]


def taken(connection: Connection, schema: str) -> set[str]:
    """Names that no table of this schema can get."""
    return {r["name"] for r in rows(connection, query("mappings.taken"), {"schema": schema})}


def trigger_functions(connection: Connection, oid: int) -> list[WrittenFunction]:
    """What the triggers of a table call, and those of its partitions."""
    return [WrittenFunction(**r) for r in rows(connection, query("mappings.trigger_functions"), {"oid": oid})]


def written_functions(connection: Connection) -> list[WrittenFunction]:
    return [WrittenFunction(**r) for r in rows(connection, query("mappings.functions"))]


def users_of_row_type(connection: Connection, oid: int) -> list[str]:
    """Functions and columns that know the table's row by its type, as the server describes them."""
    return [r["object"] for r in rows(connection, query("mappings.row_types"), {"oid": oid})]


def reserved_words(connection: Connection) -> set[str]:
    return {r["word"] for r in rows(connection, query("mappings.reserved"))}
