"""What the coordinator sees of the broker: asked in a thread of its own, written into the ledger in the run's turns.

`status` and the page have the database only. Without this they would say "running" while no job reaches a worker.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from replank.addresses.addresses import hide
from replank.settings import Settings
from replank.values.messages import celery_settings
from sql.ledger.reading import surroundings
from sql.session.connection import Connection

EVERY_S = 2.0
ANSWER_S = 3.0
"""A broker that takes longer does not answer."""


@dataclass(frozen=True, kw_only=True)
class BrokerAnswer:
    """One answer, or none, at `at` of the monotonic clock. `problem` is empty where there is one."""

    answers: bool
    problem: str
    at: float


class BrokerWatch:
    """Asks the broker every `EVERY_S` seconds, on a connection of its own each time: an old one proves nothing."""

    def __init__(self, settings: Settings, *, database: str) -> None:
        self._app = Celery("replank-broker-watch", set_as_current=False)
        asked = celery_settings(settings, database=database)
        options: dict[str, Any] = asked["broker_transport_options"]
        patient = {"socket_timeout": ANSWER_S, "socket_connect_timeout": ANSWER_S}
        self._app.conf.update({**asked, "broker_transport_options": {**options, **patient}})
        self._secret_url = settings.broker()
        self._answer: BrokerAnswer | None = None
        self._written: BrokerAnswer | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask_until_stopped, name="broker-watch", daemon=True)

    def __enter__(self) -> BrokerWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # It may be waiting for an answer; it is a daemon, and has nothing to put away.
        self._stopped.set()

    def write(self, connection: Connection) -> None:
        """The newest look into the ledger, if it is not there yet. Called in the coordinator's turns."""
        answer = self._answer
        if answer is None or answer is self._written:
            return
        age_s = time.monotonic() - answer.at
        surroundings.note_broker(connection, answers=answer.answers, problem=answer.problem, age_s=age_s)
        self._written = answer

    def ask(self) -> BrokerAnswer:
        """Whether it answers now."""
        try:
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=ANSWER_S)
                connection.default_channel.client.ping()
        except (OperationalError, RedisError, OSError) as error:
            words = hide(str(error).strip() or type(error).__name__, [self._secret_url])
            return BrokerAnswer(answers=False, problem=words.splitlines()[0], at=time.monotonic())
        return BrokerAnswer(answers=True, problem="", at=time.monotonic())

    def _ask_until_stopped(self) -> None:
        while not self._stopped.is_set():
            self._answer = self.ask()
            self._stopped.wait(EVERY_S)
        self._app.close()
