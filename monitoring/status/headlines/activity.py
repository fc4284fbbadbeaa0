"""What a run is at, and when it has done something last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replank.values.states import TableState
from replank.wording import counted, seconds
from sql.ledger.reading.signs import Signs

if TYPE_CHECKING:
    from monitoring.status.status import Status

IN_WORDS = {
    TableState.PLANNED: "planned",
    TableState.CAPTURED: "captured",
    TableState.COPYING: "being copied",
    TableState.FIRST_DRAIN: "being drained for the first time",
    TableState.INDEXING: "being indexed",
    TableState.CATCHING_UP: "being drained",
    TableState.VERIFYING: "being verified",
    TableState.REPAIRING: "being repaired",
    TableState.READY: "ready for the cutover",
    TableState.SWAPPED: "swapped",
    TableState.VALIDATING: "validating foreign keys",
    TableState.BACKFILLING: "being backfilled",
    TableState.CONSTRAINING: "getting constraints",
}


def last_done(signs: Signs | None) -> str:
    """When something was done last."""
    if signs is None or signs.finished_at is None:
        return ""
    return f"The last job finished {seconds(signs.age_s(signs.finished_at))} ago."


def evidence(status: Status) -> str:
    """Why it is called running."""
    signs = status.signs
    if signs is None:
        return ""
    parts = [last_done(signs)] if signs.finished_at is not None else []
    if signs.leased:
        parts.append(f"{counted(signs.leased, 'job', 'is')} running in {counted(signs.processes, 'worker process')}.")
    return " ".join(parts)


def doing(status: Status) -> str:
    """What most of the unfinished tables are at."""
    by_state: dict[TableState, int] = {}
    for table in status.tables:
        state = TableState(table.state)
        if state in IN_WORDS and state is not TableState.PLANNED:
            by_state[state] = by_state.get(state, 0) + 1
    if by_state:
        parts = (f"{counted(n, 'table', 'is')} {IN_WORDS[state]}" for state, n in by_state.items())
        return ", ".join(parts)
    if status.caches.under_way:
        return "caches are being built"
    return f"step {status.step[0]}"
