"""Which clients may work now: new ones wait until the schema that they need is there, old ones are withdrawn once."""

import threading
from collections.abc import Callable

import psycopg

_LOOK_S = 0.2


class Deployment:
    """The clients of one style. They work while it is open; between two transactions they can be held."""

    def __init__(self, *, is_ready: Callable[[psycopg.Connection], bool] | None = None) -> None:
        self._is_ready = is_ready
        self._open = is_ready is None
        self._withdrawn = False
        self._busy = 0
        self._changed = threading.Condition()

    def enter(self, stop: threading.Event) -> bool:
        """Wait until transactions may begin; False when `stop` was set meanwhile. `leave` must follow."""
        with self._changed:
            while not stop.is_set():
                if self._open and not self._withdrawn:
                    self._busy += 1
                    return True
                self._changed.wait(_LOOK_S)
        return False

    def leave(self) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def withdraw(self) -> None:
        """No transaction begins any more; returns when those under way have ended."""
        with self._changed:
            self._withdrawn = True
            while self._busy:
                self._changed.wait()

    def deploy(self) -> None:
        """Clients may work again, as soon as what they need is there."""
        with self._changed:
            # What was there may be gone: read again.
            self._open = self._is_ready is None
            self._withdrawn = False
            self._changed.notify_all()

    @property
    def is_open(self) -> bool:
        with self._changed:
            return self._open and not self._withdrawn

    def watch(self, url: str, stop: threading.Event) -> None:
        """Open the deployment when the catalogue says so; for a thread of its own, until `stop` is set."""
        while self._is_ready is not None and not stop.wait(_LOOK_S):
            with self._changed:
                waiting = not self._open and not self._withdrawn
            if waiting and self._looks_ready(url, self._is_ready):
                with self._changed:
                    self._open = not self._withdrawn
                    self._changed.notify_all()

    def _looks_ready(self, url: str, is_ready: Callable[[psycopg.Connection], bool]) -> bool:
        try:
            with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
                return is_ready(connection)
        except psycopg.OperationalError:
            return False
