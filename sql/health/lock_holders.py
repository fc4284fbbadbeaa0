"""What holds locks on tables that ours wait for, in words: sessions, and prepared transactions, which have none.

A session that holds a lock may itself wait for another: then ending it does not help, and the session at
the end of that chain is named with it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

import psycopg
from psycopg.sql import quote

from replank.errors import TryAgain
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.second_session import second_session
from sql.session.session_words import session_words

WATCH_S = 0.02


def blockers(connection: Connection, oids: Sequence[int], *, waited_s: float) -> list[str]:
    """Which sessions have held locks on these relations during the whole wait, in words."""
    named = {"oids": list(oids), "seconds": waited_s}
    found = rows(connection, query("cutover.blockers"), named)
    last = roots(connection, [b["pid"] for b in found])
    sessions = [f"{_session(b)}: {b['query']}{last.get(b['pid'], '')}" for b in found]
    return [*prepared_transactions(connection, oids, waited_s=waited_s), *sessions]


def prepared_transactions(connection: Connection, oids: Sequence[int], *, waited_s: float) -> list[str]:
    """They hold their locks until they are committed or rolled back, through restarts too, and belong to no session."""
    found = rows(connection, query("cutover.prepared_blockers"), {"oids": list(oids), "seconds": waited_s})
    return [
        f"prepared transaction {b['gid']} of role {b['owner']}, {b['seconds']:.1f} s old: end it by "
        f"COMMIT PREPARED {quote(b['gid'])} or ROLLBACK PREPARED {quote(b['gid'])}"
        for b in found
    ]


def roots(connection: Connection, pids: Sequence[int], *, ours: Sequence[int] = ()) -> dict[int, str]:
    """For each of these sessions that waits itself: ", which waits for …", with the session at the end of the chain.

    Statements of those are not shown: they hold values of tables that this run has nothing to do with.
    """
    if not pids:
        return {}
    last: dict[int, list[str]] = {}
    for found in rows(connection, query("traffic.roots"), {"pids": list(pids), "ours": list(ours)}):
        last.setdefault(found.pop("first"), []).append(_session(found))
    return {pid: f"; it waits for {' and '.join(named)}, which no other session blocks" for pid, named in last.items()}


def _session(found: dict[str, object]) -> str:
    pid, seconds = found["pid"], found["seconds"]
    assert isinstance(pid, int)
    assert isinstance(seconds, float)
    application, role, state = (str(found[name]) for name in ("application", "role", "state"))
    return session_words(pid, application=application, role=role, state=state, seconds=seconds)


class WaitWatch:
    """Looks from a second session, while the first waits for a lock in this block, whom it waits for.

    `words` says that afterwards; empty where none was seen. Without a second session nothing is watched.
    """

    def __init__(self, first: Connection) -> None:
        self._first = first
        self._ended = threading.Event()
        self._stack = ExitStack()
        self.words = ""

    def __enter__(self) -> Self:
        try:
            second = self._stack.enter_context(second_session(self._first))
        except TryAgain:
            return self
        watch = threading.Thread(target=self._watch, args=(second,), name="wait-watch", daemon=True)
        watch.start()
        self._stack.callback(watch.join)
        self._stack.callback(self._ended.set)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _watch(self, second: Connection) -> None:
        # An error here must not hide the one of the session that waits.
        with suppress(psycopg.OperationalError):
            while not self._ended.wait(WATCH_S):
                self.words = self._sample(second) or self.words

    def _sample(self, second: Connection) -> str:
        pid = self._first.info.backend_pid
        found = rows(second, query("traffic.blocking"), {"pid": pid})
        last = roots(second, [b["pid"] for b in found], ours=[pid])
        return "; ".join(f"{_session(b)}{last.get(b['pid'], '')}" for b in found)
