"""Following a run to its end, through restarts of the database: on one screen, or as one JSON object on each line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import psycopg
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from monitoring.status.preparing import Preparing, before_run
from monitoring.status.read_status import NoRun
from monitoring.terminal.output import print_json
from monitoring.terminal.watch import View, draw, exit_code, is_over, read_view
from replank.errors import NoServer
from replank.wording import seconds
from sql.ledger.runs.preparation import preparing_session
from sql.session.connection import Connection

EVERY_S = 0.5
RESTS = 4
"""Looking takes at most a fifth of the time, however large the ledger is."""

AGAIN_S = 1.0
"""How long a database that is away is left alone."""

OLD_S = 3.0
"""A picture older than this, and than two looks take, says its age."""

LONG = 200
"""Lines, where output is not a terminal."""

WAITING = "No run on this database yet: waiting for one. `replank run PLAN` starts one, Ctrl-C stops waiting."

OpenConnection = Callable[[], Connection]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What was seen last, and whether the database answers. Times are those of `time.monotonic`."""

    view: View | None = None
    """None where there is no run."""
    preparing: Preparing | None = None
    seen_at: float = 0.0
    seen: datetime | None = None
    """The same by the clock."""
    took_s: float = 0.0
    away: str = ""
    """Why the database gives no answer now; then all the rest is old."""
    gone: bool = False
    """There was a run, and the ledger does not know it any more."""

    @property
    def over(self) -> bool:
        """Nothing more will happen. What is being prepared is waited for, though an earlier run is done."""
        if self.away:
            return False
        if self.gone:
            return True
        return self.view is not None and self.preparing is None and is_over(self.view)

    @property
    def code(self) -> int:
        return 1 if self.view is None or self.gone else exit_code(self.view)

    def age_s(self, now: float) -> float:
        return now - self.seen_at

    def head(self, now: float) -> list[Text]:
        """Lines above the picture: what makes it less than the present."""
        lines = []
        age = seconds(self.age_s(now))
        seen = "" if self.seen is None else f" The figures are from {self.seen:%H:%M:%S} UTC, {age} ago."
        if self.away:
            lines.append(Text(f"The database does not answer: {self.away}. Trying again.{seen}", style="red"))
        elif self.seen is not None and self.age_s(now) > max(OLD_S, 2 * self.took_s):
            lines.append(Text(f"Waiting for the database's answer.{seen}", style="red"))
        if self.gone:
            lines.append(Text("The ledger no longer has this run: it was rolled back.", style="red"))
        if self.preparing is not None:
            lines.append(Text(self.preparing.words, style="magenta" if self.preparing.alive else "red"))
        elif self.view is None and not self.away:
            lines.append(Text(WAITING))
        return lines

    def to_json(self) -> dict[str, Any]:
        """`status --json`, or `state` "away", "preparing" or "waiting" where there is nothing to say of a run."""
        run_id = None if self.view is None else self.view.status.run.run_id
        if self.away:
            return {"run_id": run_id, "state": "away", "reason": self.away, "seen": self.seen and self.seen.isoformat()}
        if self.view is None:
            return before_run_json(self.preparing)
        if self.gone:
            return {**self.view.status.to_json(), "state": "rolled_back"}
        return self.view.status.to_json()


def before_run_json(preparing: Preparing | None) -> dict[str, Any]:
    """Where there has never been a run."""
    if preparing is None:
        return {"run_id": None, "state": "waiting", "preparing": None}
    return {"run_id": None, "state": "preparing", "preparing": preparing.to_json()}


def observe(connection: Connection, before: Observation) -> Observation:
    """What there is to see now. Raises psycopg.Error."""
    began = time.monotonic()
    try:
        view = read_view(connection)
        seen = Observation(view=view, preparing=view.status.preparing)
    except NoRun:
        # Whether it was there before decides what that means.
        seen = Observation(
            view=before.view,
            preparing=before_run(connection, None, preparing_session(connection)),
            gone=before.view is not None,
        )
    now = time.monotonic()
    return replace(seen, seen_at=now, seen=datetime.now(UTC), took_s=now - began)


class Follower:
    """Looks in a thread of its own, so that a database that does not answer stops no screen."""

    def __init__(self, open_connection: OpenConnection) -> None:
        self._open_connection = open_connection
        self._connection: Connection | None = open_connection()
        self._last = Observation()
        self._error: BaseException | None = None
        self._ended = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="follower", daemon=True)

    def observations(self) -> Iterator[Observation]:
        """The present state at least twice a second, the last one of the run's end. Raises what makes looking vain."""
        self._thread.start()
        try:
            while True:
                self._news.wait(EVERY_S)
                self._news.clear()
                if self._error is not None:
                    raise self._error
                if self._last.seen is None and not self._last.away:
                    continue
                seen = self._last
                yield seen
                if seen.over:
                    return
        finally:
            self._ended.set()

    def _poll(self) -> None:
        try:
            while not self._ended.is_set():
                self._last = self._observe()
                self._news.set()
                pause = AGAIN_S if self._last.away else max(EVERY_S, RESTS * self._last.took_s)
                if self._last.over or self._ended.wait(pause):
                    break
        except BaseException as error:  # noqa: BLE001 - whatever it is, the thread that draws raises it
            self._error = error
            self._news.set()
        finally:
            if self._connection is not None:
                self._connection.close()

    def _observe(self) -> Observation:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._open_connection()
            return observe(self._connection, self._last)
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            # The ledger went between two questions: the next look says what that means.
            return self._last
        except (psycopg.OperationalError, NoServer) as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            return replace(self._last, away=said[0].rstrip("."))


def follow(open_connection: OpenConnection, console: Console) -> int:
    """Draw until the run is over; the last screen stays. Returns the exit code."""
    code = 1
    # What is no terminal gets the last screen only, and all of it.
    with Live(console=console, auto_refresh=False, vertical_overflow="crop", redirect_stdout=False) as live:
        for seen in Follower(open_connection).observations():
            height = max(console.height - 1, 3) if console.is_terminal else LONG
            live.update(Group(*picture(seen, width=console.width, height=height)), refresh=True)
            code = seen.code
    return code


def picture(seen: Observation, *, width: int, height: int) -> list[Text]:
    """At most `height` lines: what is wrong with the picture, then the picture."""
    head = seen.head(time.monotonic())
    taken = sum(max(-(-line.cell_len // width), 1) for line in head)
    if seen.view is None or height <= taken:
        return head
    return [*head, *draw(seen.view, width=width, height=height - taken)]


def follow_json(open_connection: OpenConnection) -> int:
    """The document of `status --json` on each line, the last one of the run's end. Returns the exit code.

    What lasts, an answer that is missing or a run that has not begun, is printed once.
    """
    code, printed = 1, None
    for seen in Follower(open_connection).observations():
        document = seen.to_json()
        lasts = document["state"] in ("away", "waiting", "preparing")
        if not lasts or document != printed:
            print_json(document)
        printed, code = document, seen.code
    return code
