"""Workers that go on statement by statement, when the test says so, and die where it says so."""

from __future__ import annotations

import random
import threading
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from replank.errors import ReplankError
from replank.settings import Settings
from sql.session.connection import SESSION, Connection, apply_settings
from workers.execution.executor import Executor

STEP_S = 0.05
"""A statement that takes longer waits for a lock: the test goes on without it."""

END_S = 20.0


class SteppedCursor(psycopg.Cursor[Any]):
    """Waits at its connection's gate before every statement."""

    def execute(self, *arguments: Any, **named: Any) -> SteppedCursor:
        connection = self.connection
        assert isinstance(connection, SteppedConnection)
        connection.pass_gate()
        super().execute(*arguments, **named)
        return self


class SteppedConnection(psycopg.Connection[TupleRow]):
    """A session whose every statement needs leave. Killed, it closes its socket without a goodbye."""

    gate: Gate | None = None

    def pass_gate(self) -> None:
        if self.gate is not None and not self.gate.wait_for_leave():
            self.close()
            raise psycopg.OperationalError("the worker was killed here")


class Gate:
    """Between the test's thread and the worker's: at most one of the two runs."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._leave = 0
        self._waiting = False
        self._killed = False
        self._ended = False

    def wait_for_leave(self) -> bool:
        """The worker's side. False if it is to die here."""
        with self._turn:
            self._waiting = True
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._leave > 0 or self._killed)
            self._waiting = False
            self._leave = 0
            return not self._killed

    @property
    def ended(self) -> bool:
        return self._ended

    def end(self) -> None:
        """The worker's side: its thread is through."""
        with self._turn:
            self._ended = True
            self._turn.notify_all()

    def step(self, patience_s: float) -> bool:
        """The test's side: one statement. False if the worker is still under way after `patience_s`."""
        with self._turn:
            if self._waiting:
                self._leave, self._waiting = 1, False
                self._turn.notify_all()
            return self._turn.wait_for(lambda: self._waiting or self._ended, patience_s)

    def kill(self) -> None:
        with self._turn:
            self._killed = True
            self._turn.notify_all()


class SteppedWorker:
    """Executes one job at a time in a thread of its own."""

    def __init__(self, settings: Settings, run_id: int, name: str) -> None:
        self._settings, self._run_id, self._name = settings, run_id, name
        self._thread: threading.Thread | None = None
        self._gate = Gate()
        self._connection: SteppedConnection | None = None
        self._failure: Exception | None = None

    @property
    def busy(self) -> bool:
        return self._thread is not None

    def start(self, job_id: int) -> None:
        """Take a job; its first statement waits for leave."""
        assert self._thread is None
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        self._gate = self._connection.gate = Gate()
        self._thread = threading.Thread(target=self._execute, args=(self._connection, self._gate, job_id))
        self._thread.start()
        self._gate.step(END_S)

    def _connect(self) -> SteppedConnection:
        made = SteppedConnection.connect(
            self._settings.database(), autocommit=True, cursor_factory=SteppedCursor, application_name=self._name
        )
        assert isinstance(made, SteppedConnection)
        apply_settings(made, {**SESSION, "client_connection_check_interval": "1s"})
        return made

    def _execute(self, connection: Connection, gate: Gate, job_id: int) -> None:
        worker = Executor(
            connection=connection, worker=self._name, settings=self._settings, random_source=random.Random(1)
        )
        try:
            worker.execute(run_id=self._run_id, job_id=job_id)
        except (psycopg.Error, ReplankError, AssertionError) as error:
            self._failure = error
        finally:
            gate.end()

    def step(self, statements: int) -> None:
        """Some statements further, or until one has to wait for a lock."""
        for _ in range(statements):
            if self._thread is None or not self._gate.step(STEP_S):
                return
            if self._gate.ended:
                self._join()
                return

    def finish(self) -> None:
        """To the job's end; nobody may hold a lock that it needs."""
        while self._thread is not None:
            assert self._gate.step(END_S), "the worker hangs"
            if self._gate.ended:
                self._join()

    def die(self) -> None:
        """Here and now, whatever it is doing."""
        if self._thread is None or self._connection is None:
            return
        self._gate.kill()
        self._thread.join(STEP_S)
        if self._thread.is_alive():
            # It waits for a lock inside the server.
            self._connection.cancel_safe()
        self._thread.join(END_S)
        assert not self._thread.is_alive()
        self._thread = None
        self._failure = None
        self._connection.close()
        self._connection = None

    def _join(self) -> None:
        assert self._thread is not None
        self._thread.join(END_S)
        self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self) -> None:
        self.die()
        if self._connection is not None:
            self._connection.close()
