"""Following a run to its end: on one screen that is drawn anew, or as one JSON object on each line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from rich.console import Console, Group
from rich.live import Live

from monitoring.output import print_json
from monitoring.watching import View, draw, exit_code, is_over, read_view
from sql.connection import Connection

EVERY_S = 0.5
RESTS = 4
"""Looking takes at most a fifth of the time, however large the ledger is."""


def views(connection: Connection, *, sleep: Callable[[float], None] = time.sleep) -> Iterator[View]:
    """What the run looks like, now and then, until it is over; the last view is of its end."""
    while True:
        began = time.monotonic()
        view = read_view(connection)
        yield view
        if is_over(view):
            return
        sleep(max(EVERY_S, RESTS * (time.monotonic() - began)))


def follow(connection: Connection, console: Console) -> int:
    """Draw until the run is over; the last screen stays. Returns the exit code."""
    code = 1
    # What is no terminal gets the last screen only, and all of it.
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        for view in views(connection):
            height = max(console.height - 1, 3) if console.is_terminal else LONG
            live.update(Group(*draw(view, width=console.width, height=height)), refresh=True)
            code = exit_code(view)
    return code


def follow_json(connection: Connection) -> int:
    """The document of `status --json` on each line, the last one of the run's end. Returns the exit code."""
    code = 1
    for view in views(connection):
        print_json(view.status.to_json())
        code = exit_code(view)
    return code


LONG = 200
"""Lines, where nobody pages."""
