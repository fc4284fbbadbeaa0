"""Which sessions hold a lock or a snapshot, and which wait for us: read without any lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.sql import quote

from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.session_words import session_words


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A transaction that holds locks on `tables` of the tables, `seconds` old.

    Of a prepared one `pid` is None, `application` its role and `query` its identifier.
    """

    pid: int | None
    tables: int
    application: str
    role: str
    state: str
    since: str | None
    seconds: float
    query: str

    @property
    def key(self) -> tuple[int | None, str | None]:
        """The same transaction has the same key when it is read again."""
        return self.pid, self.since

    def __str__(self) -> str:
        if self.pid is None:
            gid = quote(self.query)
            return (
                f"prepared transaction {self.query} of role {self.application}, {self.seconds:.1f} s old: end it by "
                f"COMMIT PREPARED {gid} or ROLLBACK PREPARED {gid}"
            )
        named = session_words(
            self.pid, application=self.application, role=self.role, state=self.state, seconds=self.seconds
        )
        return f"{named}: {self.query}"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A session that holds a snapshot. `since` is None where the role may not see other roles' sessions."""

    pid: int
    application: str
    role: str
    state: str
    since: str | None
    xmin: str
    query_start: str | None
    seconds: float
    query: str

    @property
    def key(self) -> tuple[int, str | None, str]:
        """What does not change as long as the snapshot is held."""
        return self.pid, self.since, self.xmin

    def __str__(self) -> str:
        named = session_words(
            self.pid,
            application=self.application,
            role=self.role,
            state=self.state,
            seconds=self.seconds,
            more=f"query since {self.query_start}",
        )
        return f"{named}: {self.query}"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A session that waits for us, for `seconds`. One that `holds` locks on the set's tables waits in a circle."""

    pid: int
    seconds: float
    holds: bool


def _ours(connection: Connection, other: Connection) -> list[int]:
    return [connection.info.backend_pid, other.info.backend_pid]


def holders(second: Connection, first: Connection, oids: Sequence[int]) -> list[Holder]:
    """Transactions of others that hold locks on these relations, the oldest first."""
    named = {"oids": list(oids), "ours": _ours(first, second)}
    return [Holder(**found) for found in rows(second, query("traffic.holders"), named, prepare=True)]


def busy(second: Connection, first: Connection, tables: Sequence[tuple[str, str]]) -> set[int]:
    """Places (from 1) of the tables that others hold locks on."""
    schemas, names = [schema for schema, _ in tables], [name for _, name in tables]
    named = {"schemas": schemas, "names": names, "ours": _ours(first, second)}
    return {found["place"] for found in rows(second, query("traffic.busy"), named, prepare=True)}


def snapshots(second: Connection, first: Connection) -> list[Snapshot]:
    """Snapshots of others in this database, the oldest transaction's first."""
    named = {"ours": _ours(first, second)}
    return [Snapshot(**found) for found in rows(second, query("traffic.snapshots"), named, prepare=True)]


def queue_behind(second: Connection, first: Connection, oids: Sequence[int]) -> list[Waiting]:
    """Sessions that wait for `first`, directly or through others."""
    named: dict[str, Any] = {"oids": list(oids), "pid": first.info.backend_pid}
    return [Waiting(**found) for found in rows(second, query("traffic.queue"), named, prepare=True)]


def still_held(before: Sequence[Snapshot], now: Sequence[Snapshot]) -> list[Snapshot]:
    """Those of `before` that are held still.

    A snapshot is known by its transaction and its oldest running transaction, which stays the same as long as it is
    held. A READ COMMITTED statement that began later looks alike only where an older transaction holds that back: then
    waiting for it does not help, until it ends, and loses nothing.
    """
    kept = {each.key for each in before}
    return [each for each in now if each.key in kept]
