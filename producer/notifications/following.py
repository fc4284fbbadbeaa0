"""Following the ledger's events: one thread with a session of its own for each receiver, beside the coordinator.

What a receiver has had stands in the ledger, so a follower that is killed between an event and its delivery is
followed by one that delivers it. A message whose delivery could not be written down any more is sent once more,
with the same id. No order of event ids is relied on: what commits late is found late.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

import psycopg
import structlog

from monitoring.terminal.output import people
from producer.notifications.delivering import FIRST_WAIT_S, deliver
from producer.notifications.messages import kinds_of, message_of
from producer.notifications.receivers import Receiver
from replank.errors import ReplankError
from replank.plan.operation.notifications_plan import NotificationsPlan
from replank.values.states import DeliveryState
from sql.ledger.reading import deliveries
from sql.ledger.reading.deliveries import Event
from sql.session.connection import Connection, connect
from sql.session.database_identity import database_identity
from sql.session.database_wait import DatabaseWait

log = structlog.get_logger()

POLL_S = 1.0
FLUSH_S = 15.0
"""What a command that ends waits for receivers at the most; the next follower delivers what is left."""

LEFT = (
    "Not all notifications were delivered: a receiver does not answer, or refuses them. The ledger keeps them. "
    "`replank notify --once` tries once to deliver them, `replank notify` continues until they are delivered."
)

SESSION = {"statement_timeout": "10s", "lock_timeout": "2s"}


class Follower(threading.Thread):
    """Delivers the events of one run to one receiver. Nothing that happens here reaches the run."""

    def __init__(
        self,
        *,
        database_url: str,
        run_id: int,
        receiver: Receiver,
        plan: NotificationsPlan,
        first_wait_s: float = FIRST_WAIT_S,
    ) -> None:
        super().__init__(name=f"notify {receiver.place}", daemon=True)
        self._database_url = database_url
        self._run_id = run_id
        self._receiver = receiver
        self._kinds = kinds_of(plan.events)
        self._first_wait_s = first_wait_s
        self._ending = threading.Event()
        self._given_up = threading.Event()
        self._known: dict[int, Event] = {}
        """Read and not delivered: a rollback may take the ledger away before they are."""
        self._last: Event | None = None

    def tell_last(self, event: Event) -> None:
        """One that is in no ledger, because a rollback has taken that away."""
        self._last = event

    def end(self) -> None:
        """Deliver what there is, then end."""
        self._ending.set()

    def stop(self) -> None:
        """Give up waiting; the ledger knows what is left."""
        self._ending.set()
        self._given_up.set()

    def run(self) -> None:
        wait = DatabaseWait(
            limit_s=None,
            say=lambda error, _: log.info("notifications wait for the database", reason=str(error).strip()),
            may_pass=lambda _: True,
            stopped=self._ending.is_set,
            pause=self._given_up.wait,
        )

        def follow() -> None:
            with connect(self._database_url, name="notifier", settings=SESSION) as connection:
                wait.answered()
                self._follow(connection)

        # What is not told by now is in the ledger, for the next command.
        with suppress(psycopg.Error, ReplankError):
            wait.until_answered(follow)

    def _follow(self, connection: Connection) -> None:
        """Until it is told to end and nothing is left. Of several followers of a receiver only one delivers."""
        origin = (connection.info.dbname, database_identity(connection))
        mine = False
        while not self._given_up.is_set():
            ending = self._ending.is_set()
            mine = mine or deliveries.try_to_follow(connection, self._receiver.name)
            ledger = self._read_pending(connection) if mine else True
            for event in list(self._known.values()):
                self._deliver(connection if ledger else None, event, *origin)
            if ending and (not mine or not self._known):
                if mine and self._last is not None:
                    self._deliver(None, self._last, *origin)
                return
            self._ending.wait(POLL_S)

    def _read_pending(self, connection: Connection) -> bool:
        """Take in what is to be told. False where the ledger is gone: then what is known is told, and kept nowhere."""
        found = deliveries.pending(connection, self._run_id, receiver=self._receiver.name, kinds=self._kinds)
        if found is None:
            return False
        self._known = {event.event_id: event for event in found}
        return True

    def _deliver(self, connection: Connection | None, event: Event, database: str, identity: str) -> None:
        def keep(state: DeliveryState, attempts: int, problem: str) -> None:
            if connection is not None:
                deliveries.keep(
                    connection, event, receiver=self._receiver.name, state=state, attempts=attempts, problem=problem
                )

        def note(attempt: int, problem: str) -> None:
            log.info("a notification was not delivered", receiver=self._receiver.place, attempt=attempt, reason=problem)
            keep("trying", attempt, problem)

        told = deliver(
            self._receiver,
            message_of(event, database=database, identity=identity),
            stop=self._given_up,
            note=note,
            first_wait_s=self._first_wait_s,
        )
        if told.delivered or told.given_up:
            self._known.pop(event.event_id, None)
            keep("delivered" if told.delivered else "given_up", told.attempts, told.problem)


class Notifier:
    """All followers of a run, for as long as a command works on it. With no receivers it does nothing."""

    def __init__(
        self, database_url: str, run_id: int, plan: NotificationsPlan | None, receivers: Sequence[Receiver]
    ) -> None:
        self._followers = [
            Follower(database_url=database_url, run_id=run_id, receiver=receiver, plan=plan)
            for receiver in receivers
            if plan is not None
        ]

    def start(self) -> None:
        for follower in self._followers:
            follower.start()

    def __enter__(self) -> Notifier:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for receivers, but not long: the run is what it is, whether they hear of it now or later."""
        if not self.finish(FLUSH_S):
            people().print(LEFT, markup=False, soft_wrap=True)

    def tell_last(self, event: Event) -> None:
        """The run's last word, where no ledger can hold it any more."""
        for follower in self._followers:
            follower.tell_last(event)

    def finish(self, within_s: float) -> bool:
        """Deliver what is left. False where it was not all taken in time."""
        deadline = time.monotonic() + within_s
        for follower in self._followers:
            follower.end()
        for follower in self._followers:
            follower.join(max(deadline - time.monotonic(), 0.0))
        in_time = not any(follower.is_alive() for follower in self._followers)
        for follower in self._followers:
            follower.stop()
        return in_time
