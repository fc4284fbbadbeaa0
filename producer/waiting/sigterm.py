"""SIGTERM ends a command like Ctrl-C, also where a library loses the exception that says so."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM, for the driver: of a KeyboardInterrupt it cancels the statement under way, and no other exception."""


@contextmanager
def interrupted_by_sigterm() -> Iterator[Callable[[], None]]:
    """SIGTERM raises Terminated in the block, and at its end where that was lost.

    Yields what raises it again where it has come. A library may lose the exception while it releases something, and
    then the command would go on as if nobody had asked it to end.
    """
    came = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        raise Terminated

    def again() -> None:
        if came:
            raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield again
        again()
    finally:
        signal.signal(signal.SIGTERM, before)
