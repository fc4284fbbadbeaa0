"""What a run is doing now, from the ledger alone: the document of `status --json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from monitoring.estimate.eta import estimate
from monitoring.estimate.read_snapshot import read_moment
from monitoring.status.advice import Advice, read_advice
from monitoring.status.caches import CachesProgress, read_caches
from monitoring.status.gates import CutoverWindow, cutover_window, read_gates
from monitoring.status.headlines import Headline, headlines, nobody_works
from monitoring.status.preparing import Preparing, before_run
from monitoring.status.queues import Queue, Resent, paused_tables, read_resent, waiting_by_queue
from monitoring.status.rollback_possible import WayBack, read_way_back
from monitoring.status.table_progress import PARTS, TableProgress, read_table_progress
from replank.errors import WrongUse
from replank.values.states import OPEN_RUNS, JobState, RunState, TableState
from replank.values.steps import DATA_PHASE
from sql.ledger.jobs import failed, job_reports, work
from sql.ledger.jobs.work import Tally
from sql.ledger.reading.signs import Signs, read_signs
from sql.ledger.runs import rollbacks, runs, scripts
from sql.ledger.runs.gates import Gate, waits_at_barrier
from sql.ledger.runs.preparation import preparing_session
from sql.ledger.runs.refusals import RefusedWorker, read_refused
from sql.ledger.runs.restraints import Restraint, in_force
from sql.ledger.runs.rollbacks import Rollback
from sql.ledger.runs.runs import Run
from sql.ledger.tables import caches, conversion_sets
from sql.session.connection import Connection
from sql.session.leader_lock import Leader, leader_json, read_leader


class NoRun(WrongUse):
    """There has never been a run on this database, or no ledger knows of one."""


RATE_WINDOW_S = 10.0
DATA_STEP = ("08-migrate-uuid-types", 3)


@dataclass(frozen=True, kw_only=True)
class StepProgress:
    """A step that is a script: how many of its blocks are done."""

    name: str
    phase: int
    blocks_done: int
    blocks: int
    finished: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Status:
    """A run at one moment."""

    run: Run
    tables: tuple[TableProgress, ...]
    jobs: dict[str, int]
    rate_rows_s: float
    eta_s: tuple[float, float] | None
    """Seconds of work that are left, pauses not counted; None where the run is not open or nothing is known yet."""
    sets: tuple[dict[str, Any], ...]
    caches: CachesProgress = field(default_factory=CachesProgress)
    step: tuple[str, int] = DATA_STEP
    """Name and phase of the step that is under way, or was the last one."""
    steps: tuple[StepProgress, ...] = ()
    way_back: WayBack | None = None
    """What reverse capture has logged since the cutover, and what is known against going back; None without one."""
    rollback: Rollback | None = None
    """The newest one of the run: under way, refused, or done. None where there was none."""
    gates: tuple[Gate, ...] = ()
    """As they stood when they were looked at last."""
    at_barrier: bool = False
    """Whether the run has stopped before its data migration: then `replank run` goes on, without `replank retry`."""
    restraints: tuple[Restraint, ...] = ()
    """What holds the run back, or a phase or table of it: who, since when, why."""
    left_out: tuple[dict[str, Any], ...] = ()
    """Jobs that an operator has left out for good, with the reasons."""
    cutover_window: CutoverWindow | None = None
    """Whether tables may change places now; None where the plan has no windows, or none is waited for."""
    leader: Leader | None = None
    """Who drives the run now; None where nobody does."""
    workers: Advice | None = None
    """How many worker processes are there and how many would be right; None where no run is open."""
    queues: tuple[Queue, ...] = ()
    """What waits in each queue, and how many processes take jobs from it."""
    resent: Resent = field(default_factory=Resent)
    """What was sent again lately, and why."""
    refused: tuple[RefusedWorker, ...] = ()
    """Workers whose database role has no right to work, with the GRANT that it needs."""
    already: tuple[tuple[str, str], ...] = ()
    """What of the plan was there before the run: the object, and in words how it was."""
    signs: Signs | None = None
    """What moved lately, who takes jobs, and what was seen of the broker; None of a run whose ledger is gone."""
    database: str = ""
    host: str = ""
    """A name or folder with a port."""
    preparing: Preparing | None = None
    """Another run that has not begun yet, or died before it did; None where there is none."""

    @property
    def nothing_to_do(self) -> bool:
        """Whether the database had all that the plan asks for when the run began."""
        return bool(self.already) and not self.tables and not self.steps and not self.caches.caches

    @property
    def headlines(self) -> list[Headline]:
        """What to know first and do next, the most urgent first. Never empty."""
        return headlines(self)

    @property
    def held(self) -> bool:
        """Whether nothing but the operator's word is missing for the cutover: what waits for it was verified.

        It stays so while a table that was verified is compared again.
        """
        if self.run.state is not RunState.RUNNING or not self.run.hold_cutover:
            return False
        waiting = {one["set"] for one in self.sets if not one["swapped"]}
        of_them = [table for table in self.tables if table.set_no in waiting]
        others = [table for table in self.tables if table.set_no not in waiting]
        return (
            bool(of_them)
            and all(_is_verified(table) for table in of_them)
            and all(table.state == str(TableState.DONE) for table in others)
        )

    @property
    def share(self) -> float:
        """Of the work on all tables, 0 to 1: larger tables count more."""
        return self._weighed(lambda table: table.share)

    @property
    def parts(self) -> dict[str, float]:
        """What the share is made of: its sum is the share."""
        return {name: self._weighed(lambda t, name=name: t.parts.get(name, 0.0)) for name in PARTS}  # type: ignore[misc]

    @property
    def behind(self) -> dict[str, float]:
        """How much of all tables is copied, indexed, verified and swapped, each 0 to 1."""
        found = {}
        for name, part in self.parts.items():
            whole = self._weighed(lambda t, name=name: t.weights.get(name, 0.0))  # type: ignore[misc]
            found[name] = part / whole if whole else 0.0
        return found

    def _weighed(self, of: Callable[[TableProgress], float]) -> float:
        """The mean of all tables by their rows."""
        weights = [max(table.rows_total, 1) for table in self.tables]
        return sum(of(t) * w for t, w in zip(self.tables, weights, strict=True)) / max(sum(weights), 1)

    @property
    def asks(self) -> str:
        """What a person has to look at, in words; empty where nobody is needed."""
        if self.run.state is RunState.ROLLING_BACK and self.rollback is not None:
            return self.rollback.problem
        return self.run.reason if self.run.state in (RunState.NEEDS_PERSON, RunState.RUNNING) else ""

    @classmethod
    def of_removed(cls, run: Run) -> Status:
        """Of a run whose ledger is gone: nothing but the run as it was seen last."""
        return cls(run=run, tables=(), jobs={str(s): 0 for s in JobState}, rate_rows_s=0.0, eta_s=None, sets=())

    def to_json(self) -> dict[str, Any]:
        run = self.run
        return {
            "run_id": run.run_id,
            "database": self.database,
            "host": self.host,
            "headlines": [headline.to_json() for headline in self.headlines],
            "seen": None if self.signs is None else seen_json(self.signs),
            "state": str(run.state),
            "reason": run.reason,
            "paused": run.paused,
            "hold_cutover": run.hold_cutover,
            "restraints": [restraint.to_json() for restraint in self.restraints],
            "left_out": list(self.left_out),
            "refused": [worker.to_json() for worker in self.refused],
            "phase": self.step[1],
            "step": self.step[0],
            "steps": [step.to_json() for step in self.steps],
            "off": list(run.plan.steps.off),
            "gates": [gate.to_json() for gate in self.gates],
            "cutover_window": None if self.cutover_window is None else self.cutover_window.to_json(),
            "share": round(self.share, 4),
            "parts": {name: round(part, 4) for name, part in self.parts.items()},
            "behind": {name: round(done, 4) for name, done in self.behind.items()},
            "tables": [
                {
                    "name": table.name,
                    "state": table.state,
                    "rows_done": table.rows_done,
                    "rows_total": table.rows_total,
                    "set": table.set_no,
                    "share": round(table.share, 4),
                    "behind": {name: round(done, 4) for name, done in table.behind.items()},
                    "problem": table.problem,
                    "rows_quarantined": table.rows_quarantined,
                    "why": table.why,
                    "chunks": dict(table.chunks),
                    "verification": table.verification,
                }
                for table in self.tables
            ],
            "sets": list(self.sets),
            "caches": [cache.to_json() for cache in self.caches.caches],
            "hits": {"before": self.caches.before, "after": self.caches.after},
            "reverse_capture": None if self.way_back is None else self.way_back.to_json(),
            "rollback": None if self.rollback is None else self.rollback.to_json(),
            "coordinator": leader_json(self.leader),
            "workers": None if self.workers is None else self.workers.to_json(),
            "queues": [queue.to_json() for queue in self.queues],
            "resent": self.resent.to_json(),
            "already": [{"object": place, "message": words} for place, words in self.already],
            "preparing": None if self.preparing is None else self.preparing.to_json(),
            "jobs": self.jobs,
            "rate_rows_s": round(self.rate_rows_s, 1),
            "eta_s": None if self.eta_s is None else {"low": round(self.eta_s[0], 1), "high": round(self.eta_s[1], 1)},
            "window": {"now": run.window_now, "max": run.window_max, "reason": run.window_reason},
        }


def _is_verified(table: TableProgress) -> bool:
    if table.state == str(TableState.READY):
        return True
    again = table.state in (str(TableState.CATCHING_UP), str(TableState.VERIFYING))
    return again and table.verification is not None and table.verification["at"] is not None


def read_status(connection: Connection) -> Status:
    """The newest run's status. Raises NoRun where there has never been a run."""
    # First: a run that begins meanwhile is then in the ledger.
    prepared = preparing_session(connection)
    run = runs.latest_run(connection)
    if run is None:
        raise NoRun("There is no run on this database. Begin one with `replank run PLAN`.")
    tallies = work.read_tallies(connection, run.run_id)
    progress = read_table_progress(connection, run, tallies)
    of_caches = read_caches(connection, run.run_id)
    sets = conversion_sets.read_sets(connection, run.run_id)
    held_back = tuple(in_force(connection, run.run_id))
    signs = _signs(connection, run)
    waiting = waiting_by_queue(tallies, paused=paused_tables(held_back))
    processes = {queue.name: queue.processes for queue in signs.queues}
    queues = tuple(Queue(queue=name, processes=processes[name], waiting=jobs) for name, jobs in waiting.items())
    counts = {state: sum(t.jobs for t in tallies if t.state == state) for state in map(str, JobState)}
    info = connection.info
    found = Status(
        run=run,
        tables=progress,
        jobs=counts,
        rate_rows_s=job_reports.rows_lately(connection, run.run_id, seconds=RATE_WINDOW_S) / RATE_WINDOW_S,
        eta_s=None,
        caches=of_caches,
        step=(caches.STEP, DATA_PHASE)
        if of_caches.under_way
        else scripts.present_step(connection, run.run_id) or DATA_STEP,
        steps=tuple(
            StepProgress(
                name=planned.step.name,
                phase=planned.step.phase,
                blocks_done=planned.blocks_done,
                blocks=len(planned.script.blocks),
                finished=planned.finished,
            )
            for planned in scripts.forward_scripts(connection, run.run_id)
        ),
        way_back=read_way_back(connection, run, sets),
        rollback=rollbacks.read(connection, run.run_id),
        gates=tuple(read_gates(connection, run.plan)),
        at_barrier=run.state is RunState.NEEDS_PERSON and waits_at_barrier(connection, run.run_id),
        restraints=held_back,
        left_out=tuple(failed.left_out(connection, run.run_id)) if _any_left_out(tallies) else (),
        cutover_window=cutover_window(connection, run.plan) if run.state in OPEN_RUNS else None,
        leader=read_leader(connection),
        refused=tuple(read_refused(connection, run.run_id)),
        workers=read_advice(connection, run, queues=queues, leased=counts["leased"]),
        queues=queues,
        already=tuple(runs.read_already(connection, run.run_id)),
        resent=read_resent(connection, run.run_id) if run.state in OPEN_RUNS else Resent(),
        signs=signs,
        database=info.dbname,
        host=f"{info.host}:{info.port}",
        preparing=before_run(connection, run, prepared),
        sets=tuple(
            {
                "set": s.set_no,
                "swapped": s.swapped_at is not None,
                "attempts": s.attempts,
                "problem": s.problem,
                "lock_wait_ms": s.lock_wait_ms,
                "lock_hold_ms": s.lock_hold_ms,
                "chance": s.chance,
                "longest_wait_ms": s.longest_wait_ms,
                "returned": s.returned_at is not None,
                "back_wait_ms": s.back_wait_ms,
                "back_hold_ms": s.back_hold_ms,
                "back_longest_wait_ms": s.back_longest_wait_ms,
            }
            for s in sets
        ),
    )
    # Where the run does not go on by itself, nobody knows how long it takes.
    if run.reason or found.leader is None or any(s.problem for s in sets if s.swapped_at is None):
        return found
    if nobody_works(found.headlines) or found.held:
        return found
    left = estimate(read_moment(connection, run, tallies))
    return found if left is None else replace(found, eta_s=(left.low, left.high))


def read_again(connection: Connection, before: Status) -> Status | None:
    """The same run a little later, from what is cheap to read; None where it is another run, or in another state.

    Tables, sets and counts of jobs that wait or are done stay as they were seen before.
    """
    run = runs.latest_run(connection)
    if run is None or (run.run_id, run.state, run.created_at) != (
        before.run.run_id,
        before.run.state,
        before.run.created_at,
    ):
        return None
    signs = _signs(connection, run)
    present = replace(
        before,
        run=run,
        signs=signs,
        jobs={**before.jobs, "leased": signs.leased, "failed": signs.failed},
        rate_rows_s=job_reports.rows_lately(connection, run.run_id, seconds=RATE_WINDOW_S) / RATE_WINDOW_S,
        restraints=tuple(in_force(connection, run.run_id)),
        leader=read_leader(connection),
        rollback=rollbacks.read(connection, run.run_id),
    )
    if present.leader is None or run.reason or present.held or nobody_works(present.headlines):
        return replace(present, eta_s=None)
    return present


def _signs(connection: Connection, run: Run) -> Signs:
    return read_signs(connection, run.run_id, held=run.hold_cutover and run.state is RunState.RUNNING)


def seen_json(signs: Signs) -> dict[str, Any]:
    """What a verdict stands on, and of when it is."""
    broker = signs.broker
    return {
        "at": signs.now.isoformat(),
        "finished_at": signs.finished_at and signs.finished_at.isoformat(),
        "moved_at": signs.moved_at.isoformat(),
        "leased": signs.leased,
        "working": signs.working,
        "queues": [asdict(queue) for queue in signs.queues],
        "broker": broker
        and {
            "answers": broker.answers,
            "problem": broker.problem,
            "since": broker.since.isoformat(),
            "seen_at": broker.seen_at.isoformat(),
            "age_s": round(signs.age_s(broker.seen_at), 1),
        },
        "wrong_logins": signs.logins
        and {
            **asdict(signs.logins),
            "since": signs.logins.since.isoformat(),
            "last_at": signs.logins.last_at.isoformat(),
        },
    }


def _any_left_out(tallies: Sequence[Tally]) -> bool:
    """Whether it is worth looking for them among all jobs."""
    return any(tally.state in (JobState.SKIPPED, JobState.QUARANTINED) for tally in tallies)
