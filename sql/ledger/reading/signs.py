"""Signs of life of a run: what moved lately, which queues have no worker, and what was seen outside the database.

All of it is cheap, however many jobs there are: it may be asked for every second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from replank.values.messages import QUEUE_OF
from replank.values.states import JobKind
from sql.ledger.jobs.consumers import processes_by_queue
from sql.session.connection import Connection, row, rows, value
from sql.session.named_queries import query

LATE_S = 5.0
"""A sent job that no worker has begun for so long is late: an idle worker takes one at once."""


@dataclass(frozen=True, kw_only=True)
class QueueSigns:
    """One queue: `processes` that take jobs from it, jobs that are `sent` and not begun, how many of these are `late`,
    and how often the one was sent that was sent most often."""

    name: str
    processes: int
    sent: int = 0
    late: int = 0
    sends: int = 0


@dataclass(frozen=True, kw_only=True)
class BrokerSeen:
    """The broker as the coordinator saw it at `seen_at`, and has been seeing it `since`. A `problem` where it does not
    answer."""

    seen_at: datetime
    answers: bool
    since: datetime
    problem: str


@dataclass(frozen=True, kw_only=True)
class WrongLogins:
    """Wrong logins at the run page `since` its server began: `count` in all; of these `refused` ones came too fast to
    be compared. `name` and `address` are the last one's."""

    since: datetime
    count: int
    refused: int
    last_at: datetime
    name: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What the job says that failed last, and of how many `causes` there are."""

    error_class: str
    message: str
    causes: int


@dataclass(frozen=True, kw_only=True)
class Signs:
    """At `now`, by the server's clock. `finished_at` is the end of the last job that was done, None before the first;
    `moved_at` when a table changed its state or an event was written. Of the `leased` jobs `working` have a session
    that does something; the oldest has been under way for `oldest_s`."""

    now: datetime
    finished_at: datetime | None
    moved_at: datetime
    leased: int
    working: int
    oldest_s: float
    failed: int
    workers_s: float | None
    """For how long the worker process has been connected that came first."""
    failure: Failure | None
    queues: tuple[QueueSigns, ...]
    broker: BrokerSeen | None
    logins: WrongLogins | None
    held_by: str = ""
    """Which operator holds the cutover, since when and why, where one has since the run's beginning."""

    @property
    def quiet_s(self) -> float:
        """For how long nothing has ended, and no table moved."""
        newest = self.moved_at if self.finished_at is None else max(self.moved_at, self.finished_at)
        return max((self.now - newest).total_seconds(), 0.0)

    @property
    def processes(self) -> int:
        """Worker processes on the queue that has the most of them."""
        return max((queue.processes for queue in self.queues), default=0)

    def age_s(self, at: datetime) -> float:
        return max((self.now - at).total_seconds(), 0.0)


def read_signs(connection: Connection, run_id: int, *, held: bool = False) -> Signs:
    """`held`: the cutover is held, so the operator who holds it is read too."""
    found = row(connection, query("signs.lately"), {"run_id": run_id})
    assert found is not None
    return Signs(
        **{**found, "oldest_s": found["oldest_s"] or 0.0},
        failure=_failure(connection, run_id) if found["failed"] else None,
        queues=read_queues(connection, run_id, processes_by_queue(connection)),
        broker=read_broker(connection),
        logins=read_logins(connection),
        held_by=_held_by(connection, run_id) if held else "",
    )


def read_queues(connection: Connection, run_id: int, processes: Mapping[str, int]) -> tuple[QueueSigns, ...]:
    """Every queue with its `processes`, which may have been asked for already."""
    counted: dict[str, dict[str, int]] = {}
    for found in rows(connection, query("signs.unclaimed"), {"run_id": run_id, "late_s": LATE_S}):
        queue = counted.setdefault(QUEUE_OF[JobKind(found["kind"])], {"sent": 0, "late": 0, "sends": 0})
        queue["sent"] += found["sent"]
        queue["late"] += found["late"]
        queue["sends"] = max(queue["sends"], found["sends"])
    return tuple(
        QueueSigns(name=name, processes=taking, **counted.get(name, {})) for name, taking in sorted(processes.items())
    )


def _failure(connection: Connection, run_id: int) -> Failure | None:
    found = row(connection, query("signs.first_failure"), {"run_id": run_id})
    if found is None:
        return None
    causes = int(value(connection, query("signs.causes"), {"run_id": run_id}))
    return Failure(error_class=found["class"], message=found["message"], causes=causes)


def _held_by(connection: Connection, run_id: int) -> str:
    found = row(connection, query("signs.held_by"), {"run_id": run_id})
    if found is None:
        return ""
    why = f": {found['message']}" if found["message"] else ""
    return f"Held by {found['actor']} since {found['at']:%Y-%m-%d %H:%M:%S} UTC{why}."


def note_broker(connection: Connection, *, answers: bool, problem: str, age_s: float) -> None:
    """Keep what was seen of the broker `age_s` seconds ago."""
    connection.execute(query("signs.note_broker"), {"answers": answers, "problem": problem, "age_s": age_s})


def read_broker(connection: Connection) -> BrokerSeen | None:
    """What was seen of the broker last; None before the first check."""
    found = row(connection, query("signs.broker"))
    return None if found is None else BrokerSeen(**found)


def note_logins(connection: Connection, seen: WrongLogins) -> None:
    """Keep what the page's server has counted."""
    words: Mapping[str, Any] = {name: getattr(seen, name) for name in WrongLogins.__dataclass_fields__}
    connection.execute(query("signs.note_logins"), words)


def read_logins(connection: Connection) -> WrongLogins | None:
    """Wrong logins at the page; None where there were none."""
    found = row(connection, query("signs.logins"))
    return None if found is None else WrongLogins(**found)
