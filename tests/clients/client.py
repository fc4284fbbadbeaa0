"""What every client is to these tests: sessions that execute a few kinds of statements, whatever the driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

KINDS = ("insert", "by id", "IN", "ANY", "join", "update", "delete")


@dataclass(frozen=True, kw_only=True)
class Ids:
    """The ids that one round of statements is about, as texts."""

    item: str
    owner: str
    other: str


class Refused(Exception):
    """The driver or the server refused a statement; in the client's words."""


class Session(Protocol):
    """A connection, or a pool of one."""

    def run(self, kind: str, ids: Ids) -> str:
        """Execute one statement. Of `by id` the name of the type that the id is read as. Raises Refused."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Client:
    """One line of the table. `open` makes a session for a URL like `postgresql://…`."""

    name: str
    sends: str
    change: str
    open: Callable[[str], Session]
    kinds: tuple[str, ...] = KINDS


def statements(*places: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Statements of drivers without an ORM, and which ids they take. `places`: the first and the second placeholder."""
    one, two = places
    return {
        "insert": (f"INSERT INTO item (id, owner_id, note) VALUES ({one}, {two}, 'x')", ("item", "owner")),  # noqa: S608
        "by id": (f"SELECT id, note FROM item WHERE id = {one}", ("item",)),  # noqa: S608
        "IN": (f"SELECT note FROM item WHERE id IN ({one}, {two})", ("item", "other")),  # noqa: S608
        "ANY": (f"SELECT note FROM item WHERE id = ANY ({one})", ("list",)),  # noqa: S608
        "join": (
            f"SELECT i.note FROM item i JOIN owner o ON o.id = i.owner_id WHERE o.id = {one}",  # noqa: S608
            ("owner",),
        ),
        "update": (f"UPDATE item SET owner_id = {one} WHERE id = {two}", ("owner", "item")),  # noqa: S608
        "delete": (f"DELETE FROM item WHERE id = {one}", ("item",)),  # noqa: S608
    }


def parameters(names: tuple[str, ...], ids: Ids) -> list[str | list[str]]:
    """The values of a statement's placeholders."""
    return [[ids.item, ids.other] if name == "list" else str(getattr(ids, name)) for name in names]
