"""The status of a run, drawn by its coordinator; on no terminal a line now and then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import structlog
from rich.console import Group
from rich.live import Live
from rich.text import Text

from monitoring.status.read_status import read_status
from monitoring.status.status import Status
from monitoring.terminal.activity_screen import LogLines
from monitoring.terminal.output import people
from monitoring.terminal.watch import draw, read_view
from replank.activity import listening
from sql.session.connection import Connection

log = structlog.get_logger()


@dataclass(kw_only=True)
class Progress:
    """Draws the status while the coordinator works. On no terminal it says a line now and then."""

    every_s: float
    _last: float = field(default=0.0)
    _live: Live | None = field(default=None)
    _lines: Sequence[Text] = ()
    _log_lines: LogLines = field(default_factory=lambda: LogLines(say=lambda words: log.info(words), quiet_s=0.0))
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Progress:
        console = people()
        if console.is_terminal:
            self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._stack.enter_context(self._live)
        self._stack.enter_context(listening(self._show_activity))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _show_activity(self, words: str) -> None:
        """Of a turn that takes longer: the picture is as old as its beginning."""
        if self._live is None:
            self._log_lines.begin(words)
        else:
            self._live.update(Group(Text(f"{words} …", style="yellow"), *self._lines), refresh=True)

    def show(self, connection: Connection) -> None:
        wait = self.every_s if self._live is not None else max(self.every_s, 5.0)
        if time.monotonic() - self._last < wait:
            return
        self._last = time.monotonic()
        if self._live is None:
            _log_line(read_status(connection))
            return
        console = self._live.console
        self._lines = draw(read_view(connection), width=console.width, height=max(console.height - 1, 3))
        self._live.update(Group(*self._lines), refresh=True)


def _log_line(status: Status) -> None:
    left = "" if status.eta_s is None else f"{status.eta_s[0]:.0f} to {status.eta_s[1]:.0f} s"
    # Said again with every line: who comes later has not seen the notice, and may have forgotten the hold.
    waits = {"held": "`replank cutover` starts the cutover"} if status.held else {"left": left}
    log.info(
        "progress",
        run=status.run.run_id,
        rows=sum(t.rows_done for t in status.tables),
        of=sum(t.rows_total for t in status.tables),
        rows_per_s=round(status.rate_rows_s),
        **waits,
    )
