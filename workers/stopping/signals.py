"""A worker that is stopped in the middle of a job says so, rather than to be found missing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from billiard.common import TERM_SIGNAL

SIGNALS = frozenset({signal.SIGTERM, signal.Signals(TERM_SIGNAL)})
"""An operator's, and that with which the pool ends its processes (REMAP_SIGTERM may make it another one)."""


class StopRequested(KeyboardInterrupt):
    """For the driver: of a KeyboardInterrupt every version of it cancels the statement under way.

    After any other exception older ones leave the connection busy, and nothing can be said over it any more.
    """


@contextmanager
def stops_on_signal() -> Iterator[None]:
    """A signal to stop cancels the statement under way, undoes its transaction, and ends the block by SystemExit.

    Whatever else comes out of the block by then, or nothing. A second signal ends the process as usual.
    In any other thread than the main one nothing changes: there signals never arrive.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        asked.append(number)
        raise StopRequested

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if asked:
            raise SystemExit(128 + asked[0]) from None
