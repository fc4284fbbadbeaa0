"""A fleet on the terminal, and on its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import structlog
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from monitoring.fleet.fleet import FleetStatus, TargetStatus
from monitoring.fleet.fleet_page import fleet_page, write_page
from monitoring.terminal.fitting import Part, fit
from monitoring.terminal.screen import COLOUR
from replank.errors import WrongUse
from replank.wording import counted, seconds

log = structlog.get_logger()

_FIRST = {"rolling_back": 1, "running": 1, "waiting": 2}
BAR_CELLS = 16


class FleetDisplay:
    """Draws how all stand; on no terminal nothing is drawn, and each beginning and end is a line of the log."""

    def __init__(self, console: Console, *, page: Path | None) -> None:
        self._console = console
        self._page = page
        self._live: Live | None = None
        self._missed = False

    def __enter__(self) -> FleetDisplay:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, status: FleetStatus) -> None:
        self._write(status)
        if self._live is not None:
            lines = draw_fleet(status, width=self._console.width, height=max(self._console.height - 1, 3))
            self._live.update(Group(*lines), refresh=True)

    def _write(self, status: FleetStatus) -> None:
        """What was writable when it began may not be any more; the runs continue all the same."""
        if self._page is None:
            return
        try:
            write_page(self._page, fleet_page(status))
            self._missed = False
        except WrongUse as error:
            if not self._missed:
                log.warning("the page could not be written", reason=str(error))
            self._missed = True


def draw_fleet(status: FleetStatus, *, width: int, height: int) -> list[Text]:
    """What needs the operator first, then what runs, what waits, and what is done; lines never wrap."""
    states = ", ".join(f"{count} {state}" for state, count in sorted(status.counts.items()))
    head = [Text(f"{counted(len(status.targets), 'database')}, {100 * status.share:.0f} %: {states}", style="bold")]
    if status.stopped:
        head.append(Text(status.stopped, style="red"))
    shown = sorted(status.targets, key=lambda target: 0 if target.needs_operator else _FIRST.get(target.state, 3))
    return fit(
        [Part(lines=head, least=2), Part(lines=_lines(shown, width), more="… and {} more databases")],
        width=width,
        height=height,
    )


def _lines(targets: Sequence[TargetStatus], width: int) -> list[Text]:
    cells = max(8, min(width // 3, max((len(target.name) for target in targets), default=8)))
    return [_line(target, cells) for target in targets]


def _line(target: TargetStatus, cells: int) -> Text:
    name = target.name if len(target.name) <= cells else target.name[: cells - 1] + "…"
    line = Text(f"{name:<{cells}} ")
    line.append(f"{target.state:<12} ", style="red" if target.needs_operator else COLOUR.get(target.state, "white"))
    full = round(target.share * BAR_CELLS)
    line.append("━" * full, style="cyan")
    line.append("─" * (BAR_CELLS - full), style="dim")
    line.append(f" {100 * target.share:3.0f}%")
    if target.already:
        line.append(f"  {target.already} already done", style="dim")
    if target.paused:
        line.append("  paused", style="magenta")
    if target.eta_s is not None:
        line.append(f"  left: {seconds(target.eta_s[0])} to {seconds(target.eta_s[1])}")
    if target.problem:
        line.append(f"  {target.problem}", style="red")
    return line
