"""How one plan stands on many databases: each target's own ledger is asked, and nothing else is kept anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from monitoring.status.read_status import read_status
from monitoring.status.status import Status
from replank.errors import ReplankError
from replank.plan.targets import Target
from replank.values.states import RunState
from sql.ledger.runs import runs
from sql.session.connection import connect

LOOKING_AT_ONCE = 8
"""Connections that looking opens at a time; each is closed before the next one of its place."""

WAITING = "waiting"
UNREACHABLE = "unreachable"
UNDRIVEN = "undriven"
REFUSED = "refused"
"""The plan's run could not begin there, and nothing was changed."""
NO_COORDINATOR = "no coordinator is running for this run; the same `replank fleet run` continues it"
OVER = (str(RunState.DONE), str(RunState.FINISHED))


@dataclass(frozen=True, kw_only=True)
class TargetStatus:
    """One database: its newest run. `state` is a run's, or `waiting` (none yet), `refused`, `undriven`, `unreachable`.

    `share` is of all its rows' work, 0 to 1; `eta_s` an interval of seconds of work that are left.
    """

    name: str
    host: str
    state: str
    run_id: int | None = None
    plan_digest: str = ""
    share: float = 0.0
    rate_rows_s: float = 0.0
    eta_s: tuple[float, float] | None = None
    paused: bool = False
    verified: bool = False
    """Whether every row of every rebuilt table was compared, and nothing is left to do."""
    already: int = 0
    """How many parts of the plan the database had before its run."""
    problem: str = ""

    @property
    def needs_operator(self) -> bool:
        return self.state in (RunState.NEEDS_OPERATOR, UNREACHABLE, UNDRIVEN, REFUSED)

    def refused(self, words: str) -> TargetStatus:
        """Of a database whose run could not begin; one that has an open run is in that one's state."""
        state = REFUSED if self.state in (WAITING, *OVER, RunState.ROLLED_BACK) else self.state
        return replace(self, state=state, problem=words)

    def to_json(self) -> dict[str, Any]:
        left = self.eta_s
        return {
            "name": self.name,
            "host": self.host,
            "state": self.state,
            "run_id": self.run_id,
            "share": round(self.share, 4),
            "rate_rows_s": round(self.rate_rows_s, 1),
            "eta_s": None if left is None else {"low": round(left[0], 1), "high": round(left[1], 1)},
            "paused": self.paused,
            "verified": self.verified,
            "already": self.already,
            "problem": self.problem,
        }


@dataclass(frozen=True, kw_only=True)
class FleetStatus:
    """All targets, in the order of their file."""

    targets: tuple[TargetStatus, ...]
    stopped: str = ""
    """Why nothing further begins, though some wait; empty where nothing keeps them."""

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(target.state for target in self.targets))

    @property
    def done(self) -> bool:
        return all(target.state in OVER for target in self.targets)

    @property
    def share(self) -> float:
        """Each database counts as much as any other."""
        return sum(1.0 if t.state in OVER else t.share for t in self.targets) / max(len(self.targets), 1)

    def to_json(self) -> dict[str, Any]:
        return {
            "share": round(self.share, 4),
            "counts": self.counts,
            "done": self.done,
            "stopped": self.stopped,
            "targets": [target.to_json() for target in self.targets],
        }


def read_fleet(targets: Sequence[Target]) -> FleetStatus:
    """Ask every target's ledger. One that does not answer is `unreachable`, with the reason, without its password."""
    with ThreadPoolExecutor(max_workers=LOOKING_AT_ONCE, thread_name_prefix="fleet") as pool:
        return FleetStatus(targets=tuple(pool.map(read_target, targets)))


def read_target(target: Target) -> TargetStatus:
    """The newest run of one target."""
    try:
        with connect(target.url, name="fleet") as connection:
            if runs.latest_run(connection) is None:
                return TargetStatus(name=target.name, host=target.host, state=WAITING)
            return _of_run(target, read_status(connection))
    except (ReplankError, psycopg.Error) as error:
        return TargetStatus(name=target.name, host=target.host, state=UNREACHABLE, problem=str(error).strip())


def _of_run(target: Target, status: Status) -> TargetStatus:
    run = status.run
    problems = [table.problem for table in status.tables if table.problem]
    over = run.state in (RunState.DONE, RunState.FINISHED)
    undriven = run.state in (RunState.RUNNING, RunState.ROLLING_BACK) and status.leader is None
    return TargetStatus(
        name=target.name,
        host=target.host,
        state=UNDRIVEN if undriven else str(run.state),
        run_id=run.run_id,
        plan_digest=run.plan_digest,
        share=1.0 if over else status.share,
        rate_rows_s=status.rate_rows_s,
        eta_s=status.eta_s,
        paused=run.paused,
        # A table is done only after its comparison, and the run only after all of its tables.
        verified=over and all(table.state == "done" for table in status.tables),
        already=len(status.already),
        problem=run.reason or (problems[0] if problems else NO_COORDINATOR if undriven else ""),
    )
