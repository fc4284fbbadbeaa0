"""Why a run does not move, said by `run` once each time that changes: what nobody takes, and who holds what back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from monitoring.status.gates import cutover_window
from producer.coordinator.untaken import QUEUE, WORKERS, Untaken
from replank.values.states import RunState, TableState
from replank.wording import counted
from sql.ledger.runs import restraints, runs
from sql.ledger.runs.restraints import Restraint
from sql.ledger.runs.runs import Run
from sql.ledger.tables import conversion_sets, tables
from sql.session.connection import Connection

log = structlog.get_logger()

LOOK_S = 1.0

CLOSED_S = 10.0
"""The governor closes and opens its window as it goes; this long is worth a word."""

_OVER = {
    WORKERS: "workers take jobs",
    "pause": "nothing is paused any more",
    "hold": "the cutover is not held any more",
    "window": "the tables may be swapped now",
    "governor": "jobs may begin again",
    "operator": "nothing needs the operator any more",
}

_SAID_AGAIN = ("pause", "window", "operator")
"""What is said again when its words change; those of the others hold figures that change all the time."""


@dataclass(kw_only=True)
class Notices:
    """Looks once a second. What waits for workers becomes an event of the ledger too; the rest is one already."""

    connection: Connection
    run_id: int
    untaken: Untaken
    clock: Callable[[], float] = time.monotonic
    _looked_at: float = float("-inf")
    _closed_since: float | None = None
    _said: dict[str, str] = field(default_factory=dict)

    def look(self) -> None:
        """To be called at each turn of the coordinator."""
        now = self.clock()
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        run = runs.read_run(self.connection, self.run_id)
        if run.state is not RunState.RUNNING:
            return
        of_workers = self.untaken.look(run)
        if of_workers is None:
            # What was said of them stands until it is known better.
            of_workers = {key: words for key, words in self._said.items() if key.startswith((WORKERS, QUEUE))}
        self._say({**self._of_people(run), **self._of_governor(run, now), **of_workers})

    def _say(self, found: Mapping[str, str]) -> None:
        for key in self._said.keys() - found.keys():
            self._tell(key, _OVER.get(key) or f"workers take jobs of the {key}")
            del self._said[key]
        for key, words in found.items():
            if key not in self._said or (key in _SAID_AGAIN and words != self._said[key]):
                self._tell(key, words)
                self._said[key] = words

    def _tell(self, key: str, words: str) -> None:
        log.info(words)
        if key.startswith((WORKERS, QUEUE)):
            runs.add_event(self.connection, self.run_id, actor="coordinator", kind="workers", message=words)

    def _of_people(self, run: Run) -> dict[str, str]:
        """What an operator or the plan holds back."""
        found: dict[str, str] = {}
        held_back = restraints.in_force(self.connection, run.run_id)
        pauses = [_pause(each) for each in held_back if each.kind == "pause"]
        if pauses:
            found["pause"] = "; ".join(pauses)
        if run.reason:
            found["operator"] = f"the operator is needed: {run.reason}"
        ready = self._ready_sets(run)
        if ready and run.hold_cutover:
            words = f"{counted(ready, 'set', 'is')} ready, and the cutover is held"
            found["hold"] = f"{words}: `replank cutover` lets it begin"
        elif ready:
            window = cutover_window(self.connection, run.plan)
            if window is not None and window.reason:
                found["window"] = f"the cutover waits: {window.reason}"
        return found

    def _of_governor(self, run: Run, now: float) -> dict[str, str]:
        if run.paused or run.window_now:
            self._closed_since = None
            return {}
        self._closed_since = now if self._closed_since is None else self._closed_since
        return {"governor": f"no job begins: {run.window_reason}"} if now - self._closed_since >= CLOSED_S else {}

    def _ready_sets(self, run: Run) -> int:
        """Sets that only wait for their cutover."""
        present = tables.read_tables(self.connection, run.run_id)
        unready = {table.set_no for table in present if table.state is not TableState.READY}
        waiting = {
            one.set_no for one in conversion_sets.read_sets(self.connection, run.run_id) if one.swapped_at is None
        }
        return len(waiting - unready)


def _pause(pause: Restraint) -> str:
    return f"{pause.words}; `{pause.freed_by}` ends it"
