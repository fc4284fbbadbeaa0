"""One client: its own connection, its own pace, and what an application does when a statement fails."""

import contextlib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Generic

import psycopg

from demo.clients.deployment import Deployment
from demo.clients.kind import A, Kind
from demo.clients.model import Model
from demo.clients.styles.session import Session
from demo.clients.transaction import Surprise, Transaction
from demo.clients.workload import Group
from replank.backoff import Backoff
from replank.sqlstates import Cause, states_of

MOST_RETRIES = 5

# Serialization failure, deadlock, lock not available: every application has to try these again.
_TRY_AGAIN = states_of(Cause.CONCURRENT, Cause.LOCK)
_RECONNECT_S = 0.1
_RETRY = Backoff(first_s=0.02, most_s=0.64)
# A client that fell behind its pace catches up at most this much, in seconds.
_MOST_BACKLOG_S = 1.0


@dataclass(kw_only=True)
class Tally:
    """What one client lived through. Latencies are seconds of a transaction with all its retries, but
    without its deliberate pause; writes are acknowledged row changes, cascades included; ended_at: when each
    acknowledged transaction ended, as a Unix time."""

    by_kind: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    unknown: int = 0
    writes: int = 0
    latencies: list[float] = field(default_factory=list)
    ended_at: list[float] = field(default_factory=list)


class OutcomeUnknown(Exception):
    """The connection was lost while COMMIT was under way."""


class Client(Generic[A]):
    """Runs a transaction every `interval_s`, while its deployment is open, until `stop` is set."""

    def __init__(
        self,
        *,
        url: str,
        interval_s: float,
        stop: threading.Event,
        group: Group[A],
        actor: A,
        model: Model,
        deployment: Deployment,
    ) -> None:
        self.model = model
        self.group = group.name
        self.name = actor.name
        self.tally = Tally()
        self._url = url
        self._interval_s = interval_s
        self._stop = stop
        self._style = group.style
        self._kinds = group.kinds
        self._actor = actor
        self._deployment = deployment
        self._rng = actor.rng
        self._session: Session | None = None
        self._statement = "connect"
        # Every kind once, then by weight: a short run has seen them all too.
        self._first = self._rng.sample(sorted(self._kinds), k=len(self._kinds))

    def run(self) -> None:
        """The client's life; returns soon after `stop` is set, between two transactions."""
        due = time.monotonic()
        try:
            while self._deployment.enter(self._stop):
                try:
                    self._transact(self._next_kind())
                finally:
                    self._deployment.leave()
                due = max(due + self._interval_s, time.monotonic() - _MOST_BACKLOG_S)
                self._stop.wait(max(0.0, due - time.monotonic()))
        finally:
            self._disconnect()

    def _next_kind(self) -> str:
        if self._first:
            return self._first.pop()
        names = list(self._kinds)
        return self._rng.choices(names, weights=[self._kinds[name].weight for name in names])[0]

    def _transact(self, name: str) -> None:
        """One transaction, tried again as often as an application would."""
        started = time.monotonic()
        for attempt in range(MOST_RETRIES + 1):
            try:
                writes = self._attempt(self._kinds[name])
            except OutcomeUnknown:
                self.tally.unknown += 1
                return
            except psycopg.OperationalError as error:
                lost = self._session is None
                if attempt == MOST_RETRIES or not (lost or error.sqlstate in _TRY_AGAIN):
                    self._note(error, name)
                    return
                self.tally.retries += 1
                self._stop.wait(_RETRY.wait_s(attempt + 1, self._rng))
            except (psycopg.Error, Surprise) as error:
                self._note(error, name)
                return
            else:
                self.tally.latencies.append(time.monotonic() - started - self._kinds[name].pause_s)
                self.tally.ended_at.append(time.time())
                self.tally.by_kind[name] += 1
                self.tally.writes += writes
                return

    def _attempt(self, kind: Kind[A]) -> int:
        """Run the transaction once; returns its row changes. On an error nothing of it remains."""
        session = self._connect()
        tx = Transaction(session, self.model)
        self._statement = tx.statement
        try:
            kind.run(tx, self._actor)
            if kind.rollback:
                session.rollback()
                self.model.rollback()
                return 0
            time.sleep(kind.pause_s)
            tx.statement = "COMMIT"
            session.commit()
        except (psycopg.Error, Surprise) as error:
            self._statement = tx.statement
            self._undo(session, committing=tx.statement == "COMMIT", error=error)
            raise
        return self.model.commit()

    def _undo(self, session: Session, *, committing: bool, error: Exception) -> None:
        """After an error: back to where the transaction began, in the model and on the server."""
        # The rollback itself may find out that the connection is gone.
        with contextlib.suppress(psycopg.OperationalError):
            session.rollback()
        if session.is_closed:
            self._disconnect()
            if committing:
                self.model.give_up()
                raise OutcomeUnknown from error
        self.model.rollback()

    def _note(self, error: Exception, kind: str) -> None:
        """Count the error under what an operator needs: SQLSTATE, message, statement, kind."""
        if isinstance(error, psycopg.Error):
            text = f"{error.sqlstate or 'no sqlstate'} {error.diag.message_primary or error}"
        else:
            text = f"wrong answer: {error}"
        self.tally.errors[f"{text} [{self._statement}, in {kind}]"] += 1

    def _connect(self) -> Session:
        """The client's session; a lost one is replaced as soon as the server takes it."""
        while self._session is None:
            try:
                self._session = self._style.open(self._url, application_name=self.group)
            except psycopg.OperationalError:
                if self._stop.is_set():
                    self._statement = "connect"
                    raise
                self.tally.retries += 1
                self._stop.wait(_RECONNECT_S)
        return self._session

    def _disconnect(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
