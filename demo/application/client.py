"""One client: its own connection, its own pace, and what an application does when a statement fails."""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

import psycopg

from demo.application.deployment import Deployment
from demo.application.hiring import Hiring
from demo.application.kind import A, Kind
from demo.application.model import Model
from demo.application.statement import Statement
from demo.application.transaction import Surprise, Transaction

MOST_RETRIES = 5

# Serialization failure, deadlock, lock not available: every application has to try these again.
_TRY_AGAIN = frozenset({"40001", "40P01", "55P03"})
_RECONNECT_S = 0.1
_RETRY_WAIT_S = 0.02
# A client that fell behind its pace catches up at most this much, in seconds.
_MOST_BACKLOG_S = 1.0


@dataclass(kw_only=True)
class Tally:
    """What one client lived through. Latencies are seconds of a transaction with all its retries, but
    without its deliberate pause; writes are acknowledged row changes, cascades included."""

    by_kind: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    unknown: int = 0
    writes: int = 0
    latencies: list[float] = field(default_factory=list)


class OutcomeUnknown(Exception):
    """The connection was lost while COMMIT was under way."""


class Client(Generic[A]):
    """Runs transactions at its share of the rate, while its deployment is open, until `stop` is set."""

    def __init__(
        self,
        *,
        hiring: Hiring,
        actor: A,
        model: Model,
        statements: Mapping[str, Statement],
        kinds: Mapping[str, Kind[A]],
        deployment: Deployment,
        style: str,
        rng: random.Random,
    ) -> None:
        self.model = model
        self.style = style
        self.tally = Tally()
        self._url = hiring.url
        self._interval_s = hiring.clients / hiring.rate
        self._stop = hiring.stop
        self._actor = actor
        self._statements = statements
        self._kinds = kinds
        self._deployment = deployment
        self._rng = rng
        self._connection: psycopg.Connection | None = None
        self._statement = "connect"
        # Every kind once, then by weight: a short run has seen them all too.
        self._first = rng.sample(sorted(kinds), k=len(kinds))

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
                lost = self._connection is None
                if attempt == MOST_RETRIES or not (lost or error.sqlstate in _TRY_AGAIN):
                    self._note(error, name)
                    return
                self.tally.retries += 1
                self._stop.wait(_RETRY_WAIT_S * self._rng.random() * 2**attempt)
            except (psycopg.Error, Surprise) as error:
                self._note(error, name)
                return
            else:
                self.tally.latencies.append(time.monotonic() - started - self._kinds[name].pause_s)
                self.tally.by_kind[name] += 1
                self.tally.writes += writes
                return

    def _attempt(self, kind: Kind[A]) -> int:
        """Run the transaction once; returns its row changes. On an error nothing of it remains."""
        connection = self._connect()
        tx = Transaction(connection, self.model, self._statements, self._rng)
        self._statement = tx.statement
        try:
            kind.run(tx, self._actor)
            if kind.rollback:
                connection.rollback()
                self.model.rollback()
                return 0
            time.sleep(kind.pause_s)
            tx.statement = "COMMIT"
            connection.commit()
        except (psycopg.Error, Surprise) as error:
            self._statement = tx.statement
            self._undo(connection, committing=tx.statement == "COMMIT", error=error)
            raise
        return self.model.commit()

    def _undo(self, connection: psycopg.Connection, *, committing: bool, error: Exception) -> None:
        """After an error: back to where the transaction began, in the model and on the server."""
        # The rollback itself may find out that the connection is gone.
        with contextlib.suppress(psycopg.OperationalError):
            connection.rollback()
        if connection.closed:
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

    def _connect(self) -> psycopg.Connection:
        """The client's connection; a lost one is replaced as soon as the server takes it."""
        while self._connection is None:
            try:
                self._connection = psycopg.connect(
                    self._url, prepare_threshold=None, application_name=self.style, connect_timeout=10
                )
            except psycopg.OperationalError:
                if self._stop.is_set():
                    self._statement = "connect"
                    raise
                self.tally.retries += 1
                self._stop.wait(_RECONNECT_S)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
