"""Which processes take jobs from which queues: each holds a shared advisory lock per queue, for as long as its session.

Nothing is written, nothing has to be taken away, and any role may read `pg_locks`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from replank.values.messages import QUEUES
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query

CONSUMER_LOCK = 0x7265_7071


@dataclass(frozen=True, kw_only=True)
class _Consumed:
    """A queue's lock, and how many sessions hold it."""

    key: int
    processes: int


_ANNOUNCE = Command("consumers.announce")
_PROCESSES = Query("consumers.processes", _Consumed)


def announce(connection: Connection, queues: Iterable[str]) -> None:
    """Say that this session's process takes jobs from these queues, until the session ends."""
    _ANNOUNCE(connection, lock=CONSUMER_LOCK, keys=[_key(queue) for queue in queues])


def processes_by_queue(connection: Connection) -> dict[str, int]:
    """Every queue with the number of connected processes that take jobs from it, 0 where none does."""
    found = {held.key: held.processes for held in _PROCESSES.all(connection, lock=CONSUMER_LOCK)}
    return {queue: found.get(_key(queue), 0) for queue in QUEUES}


def _key(queue: str) -> int:
    """The same in every version, and an int4 that is not negative."""
    return zlib.crc32(queue.encode()) & 0x7FFF_FFFF
