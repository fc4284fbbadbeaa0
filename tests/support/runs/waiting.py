"""Waiting for something to become true, with a deadline, never for a length of time."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LONG = os.environ.get("REPLANK_LONG") == "1"
"""The long form: more rows, more repetitions, longer outages; never other tests."""

POLL_S = 0.02


def wait_for(
    what: str, look: Callable[[], T | None], *, deadline_s: float = 60.0, explain: Callable[[], str] = str
) -> T:
    """The first answer of `look` that is true, or not empty.

    Fails with `what` and with what `explain` says after `deadline_s`.
    """
    end = time.monotonic() + deadline_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s:.0f} s: {what}\n{explain()}")
        time.sleep(POLL_S)


def stays(look: Callable[[], bool], *, for_s: float) -> bool:
    """Whether `look` is true at every look for `for_s` seconds: how absence is shown."""
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        if not look():
            return False
        time.sleep(POLL_S)
    return True
