"""`doing` on standard error: a line with its seconds on a terminal, sparse plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from replank.activity import listening
from replank.wording import seconds

LINES_APART_S = 2.0
"""In a log: what took less than this is not worth a line."""

STILL_S = 60.0
"""In a log: the same work is named again after so long, and then each time after twice as long."""

TICK_S = 0.25


@dataclass(kw_only=True)
class LogLines:
    """Which words become a line of a log, and when. `clock` gives seconds."""

    say: Callable[[str], None]
    quiet_s: float
    """A command that ends within this time says nothing."""
    clock: Callable[[], float] = time.monotonic
    _words: str = ""
    _words_since: float = 0.0
    _said: str = ""
    _due: float = field(init=False)
    _still: float = STILL_S

    def __post_init__(self) -> None:
        self._due = self.clock() + self.quiet_s

    def begin(self, words: str) -> None:
        """This is done from now on."""
        if words != self._words:
            self._words, self._words_since = words, self.clock()
        self.tick()

    def tick(self) -> None:
        """To be called now and then: says what has become worth a line."""
        now = self.clock()
        if not self._words or now < self._due:
            return
        if self._words != self._said:
            self.say(self._words)
            self._said, self._due, self._still = self._words, now + LINES_APART_S, STILL_S
        elif now - self._words_since >= self._still:
            self.say(f"still {self._words}, for {seconds(now - self._words_since)}")
            self._still *= 2


def _print(console: Console, words: str) -> None:
    console.print(Text(f"{words} …"), soft_wrap=True)


class ActivityScreen:
    """Listens while it is open. `below` is drawn under the line on a terminal, as a display of its own would be."""

    def __init__(
        self,
        console: Console,
        *,
        quiet_s: float = 1.0,
        below: RenderableType | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """`say`: where no terminal is, each line goes there rather than, as plain words, to the console."""
        self._lines = LogLines(say=say or partial(_print, console), quiet_s=quiet_s)
        self._began = self._since = time.monotonic()
        self._quiet_s = quiet_s
        self._words = ""
        self._below = below
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._live = (
            Live(
                console=console,
                get_renderable=self._draw,
                refresh_per_second=1 / TICK_S,
                transient=True,
                # Standard output is for results, on whatever it is written.
                redirect_stdout=False,
            )
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._stack.enter_context(self._live)
        else:
            ticker = threading.Thread(target=self._tick, name="activity", daemon=True)
            ticker.start()
            self._stack.callback(ticker.join)
            self._stack.callback(self._ended.set)
        self._stack.enter_context(listening(self._begin))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _begin(self, words: str) -> None:
        if words != self._words:
            self._words, self._since = words, time.monotonic()
        if self._live is None:
            with self._lock:
                self._lines.begin(words)

    def _tick(self) -> None:
        while not self._ended.wait(TICK_S):
            with self._lock:
                self._lines.tick()

    def _draw(self) -> RenderableType:
        now = time.monotonic()
        shown: list[RenderableType] = []
        if self._words and now - self._began >= self._quiet_s:
            shown.append(Text(f"{self._words} … {seconds(now - self._since)}", style="dim"))
        if self._below is not None:
            shown.append(self._below)
        return Group(*shown)
