"""What a command is doing now, for people who would otherwise wait in silence.

Long work calls `doing` as it goes from one thing to the next. The caller may listen; without a listener nothing
happens. Threads that are started meanwhile have no listener.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str], None]
"""Called with a few plain words in the present participle: "reading the catalogue"."""

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("activity_listeners", default=())


def doing(words: str) -> None:
    """From now on the command does this. It may be called inside a transaction: no listener uses its session."""
    for listener in _listeners.get():
        listener(words)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """The listener is told of everything that is done in this block, beside those that listen already."""
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)
