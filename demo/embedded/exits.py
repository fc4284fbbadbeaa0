"""Stopping the servers of this process when it ends."""

import atexit
import os
import signal
import threading
from types import FrameType
from typing import Protocol


class StoppedAtExit(Protocol):
    """A server that can be thrown away."""

    def discard(self) -> None:
        """Stop at once and remove the folder."""


_running: list[StoppedAtExit] = []


def discard_at_exit(server: StoppedAtExit) -> None:
    """See to it that the server is gone when this process ends, by its own will or by SIGTERM."""
    _running.append(server)
    # Only where there is no handler, so none is replaced; one that is set later replaces ours.
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _discard_and_die)


def forget(server: StoppedAtExit) -> None:
    """The server is gone; the last one takes our signal handler along."""
    if server in _running:
        _running.remove(server)
    if (
        not _running
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is _discard_and_die
    ):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@atexit.register
def _discard_all() -> None:
    for server in list(_running):
        server.discard()


def _discard_and_die(number: int, _frame: FrameType | None) -> None:
    """Die of the signal as one does without a handler, only later."""
    try:
        _discard_all()
    finally:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
