"""How many worker processes would be right now, and why: from the window, the processors, and what jobs spend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from monitoring.status.queues import Queue
from replank.values.messages import QUEUE_OF
from replank.values.states import OPEN_RUNS, RunState
from replank.wording import counted
from sql.ledger.reading import metrics, workload
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

PER_CPU = 2
"""Jobs wait for the disk about as long as they use a processor."""

SHORT_JOB_S = 0.05
"""Jobs as short as this spend more on their way than at work."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What counts. `processes` are connected workers' children; `cpus` None where the server's are not known;
    `job_s` is how long the last jobs took, None where none is done yet."""

    processes: int
    window: int
    waiting: int
    leased: int
    paused: bool = False
    untaken: str = ""
    """Queues in which jobs wait and that no process takes jobs from, as `--queues` has them."""
    unheard: str = ""
    """A queue from which no worker takes jobs, though they were sent several times."""
    cpus: int | None = None
    job_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Advice:
    """`recommended` worker processes in all, and the reason, for the operator."""

    processes: int
    recommended: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def advise(load: Load) -> Advice:
    """A pure function."""
    recommended, reason = _wanted(load)
    return Advice(processes=load.processes, recommended=recommended, reason=reason)


def _wanted(load: Load) -> tuple[int, str]:
    jobs = load.waiting + load.leased
    if load.paused:
        return max(load.processes, 1), "paused: no job starts, so more or fewer processes change nothing"
    if load.untaken and load.processes:
        words = f"no worker takes jobs from {load.untaken}: `replank worker --queues {load.untaken}`"
        return load.processes + 1, words
    if load.unheard and load.leased < load.processes:
        words = (
            f"no worker takes jobs from {load.unheard}, though "
            f"{counted(load.processes - load.leased, 'process', 'is')} idle: `replank worker --queues {load.unheard}`"
        )
        return load.processes + 1, words
    if jobs == 0:
        return 1, "no waiting job can start now; one process is enough until more come"
    if load.window == 0:
        return (
            1,
            f"the window is closed: {counted(load.leased, 'job', 'is')} running, and more processes would only wait",
        )
    most, bound = load.window, f"the window allows {counted(load.window, 'job')} at once"
    if load.cpus is not None and load.cpus * PER_CPU < most:
        most, bound = (
            load.cpus * PER_CPU,
            f"the server has {counted(load.cpus, 'processor')}, so more processes would wait for them",
        )
    wanted = max(min(most, jobs), 1)
    if wanted > load.processes:
        return _more(load, wanted, bound)
    if wanted < load.processes:
        why = f"only {_left(jobs)}" if jobs < most else bound
        return wanted, f"{load.processes - wanted} fewer would do the same work: {why}"
    return wanted, f"the number is right: {bound if jobs >= most else _left(jobs)}"


def _more(load: Load, wanted: int, bound: str) -> tuple[int, str]:
    if load.job_s is not None and load.job_s < SHORT_JOB_S:
        words = (
            f"jobs take {load.job_s * 1000:.0f} ms, less than sending them takes: larger chunks (chunk_mb) would help"
        )
        return max(load.processes, 1), words
    return (
        wanted,
        f"{wanted - load.processes} more could work: {counted(load.waiting, 'job', 'waits')}, and {bound}",
    )


def read_advice(connection: Connection, run: Run, *, queues: Sequence[Queue], leased: int) -> Advice | None:
    """For a run that is open; None for any other."""
    if run.state not in OPEN_RUNS or run.state is RunState.ROLLING_BACK:
        return None
    unheard = workload.unheard_kind(connection, run.run_id)
    untaken = [queue.queue for queue in queues if queue.waiting and not queue.processes]
    return advise(
        Load(
            processes=metrics.worker_sessions(connection),
            window=run.window_now,
            waiting=sum(queue.waiting for queue in queues),
            leased=leased,
            paused=run.paused,
            untaken=",".join(untaken) if run.window_now else "",
            unheard="" if unheard is None or run.window_now == 0 else QUEUE_OF[unheard],
            cpus=run.plan.governor.server_cpus,
            job_s=workload.last_jobs_s(connection, run.run_id),
        )
    )


def _left(jobs: int) -> str:
    return f"{counted(jobs, 'job', 'is')} left"
