"""Which of the clients' transactions ended while the run copied, while it swapped, and after that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitoring.status.durations import spans_of
from sql.ledger.runs import runs
from sql.ledger.runs.events import table_moves
from sql.session.connection import connect

PHASES = ("copy", "swap", "after")


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Of one run, as Unix times: it began, its first table was ready for the swap, its last one was swapped."""

    began: float
    ready: float
    swapped: float

    def phase_of(self, moment: float) -> str | None:
        """None before the run."""
        if moment < self.began:
            return None
        return "copy" if moment < self.ready else "swap" if moment <= self.swapped else "after"


def read_moments(url: str, run_id: int) -> Moments:
    with connect(url, name="demo") as connection:
        began = runs.read_run(connection, run_id).created_at
        ready, swapped = spans_of(table_moves(connection, run_id), began)["cutover"]
    return Moments(began=began.timestamp(), ready=ready.timestamp(), swapped=swapped.timestamp())


def transactions_of(moments: Moments, ended_at: Mapping[str, Sequence[float]]) -> dict[str, dict[str, int]]:
    """Client -> phase -> its acknowledged transactions."""
    counted = {client: dict.fromkeys(PHASES, 0) for client in ended_at}
    for client, ends in ended_at.items():
        for end in ends:
            if (phase := moments.phase_of(end)) is not None:
                counted[client][phase] += 1
    return counted
