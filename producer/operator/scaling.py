"""How many processes work: running pools are changed, and the wish is kept for workers that are started again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from monitoring.status.queues import paused_tables, waiting_by_queue
from producer.operator.operator import Operator
from producer.operator.run_for_action import note
from replank.errors import WrongUse
from replank.wording import counted
from sql.ledger.jobs import work
from sql.ledger.runs import pool_sizes, restraints
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

if TYPE_CHECKING:
    from producer.operator.pools import Pool, Pools

MOST_PROCESSES = 1_000


def scale(
    connection: Connection, run: Run, pools: Pools, processes: int, *, by: Operator, worker: str | None = None
) -> str:
    """Have `processes` work in all, or in one `worker`. Returns what was done, worker by worker.

    Workers that take jobs from queues in which jobs wait are those that grow. Raises WrongUse where no worker answers,
    where there are more workers than processes, and for workers that follow the window by themselves.
    """
    if not 1 <= processes <= MOST_PROCESSES:
        raise WrongUse(f"Give a number of processes from 1 to {MOST_PROCESSES}. To stop all work: `replank pause`.")
    answering = pools.read_pools()
    waiting = _waiting(connection, run)
    targets = targets_of(answering, processes, worker=worker, waiting=waiting)
    with connection.transaction():
        for name, wanted in targets.items():
            pool_sizes.keep(connection, run.run_id, worker=name, processes=wanted)
    done = []
    for pool in (pool for pool in answering if pool.worker in targets):
        target = targets[pool.worker]
        problem = pools.change(pool, target) if target != pool.processes else ""
        done.append(f"{pool.worker} {pool.processes} → {target}" + (f" (not reached: {problem})" if problem else ""))
    left_alone = [pool for pool in answering if pool.follows_window]
    aside = f"; {', '.join(p.worker for p in left_alone)} follows the window and is not counted" if left_alone else ""
    words = f"{counted(processes, 'process')}{'' if worker is None else f' in {worker}'}: {', '.join(done)}{aside}"
    with connection.transaction():
        note(connection, run, by, "scale", subject=worker or "", message=words)
    return f"Run {run.run_id}: {words}.{_untaken(answering, waiting)}"


def _waiting(connection: Connection, run: Run) -> dict[str, int]:
    """Queues in which jobs wait that may begin, and how many."""
    waiting = waiting_by_queue(
        work.read_tallies(connection, run.run_id),
        paused=paused_tables(restraints.in_force(connection, run.run_id)),
    )
    return {queue: jobs for queue, jobs in waiting.items() if jobs}


def _untaken(answering: Sequence[Pool], waiting: Mapping[str, int]) -> str:
    """That no process of any number would take what waits in some queue, and what would; empty where all is taken."""
    taken = frozenset[str]().union(*(pool.queues for pool in answering))
    left = {queue: jobs for queue, jobs in waiting.items() if queue not in taken}
    if not left:
        return ""
    jobs = ", ".join(f"{queue} ({count:,} waiting)" for queue, count in left.items())
    return f" No worker takes jobs of {jobs}: start one with `replank worker --queues {','.join(left)}`."


def targets_of(
    answering: Sequence[Pool], processes: int, *, worker: str | None, waiting: Collection[str] = ()
) -> dict[str, int]:
    """How many processes each worker shall have. Sizes keep their proportions, because hosts differ.

    Where jobs are `waiting` in some queues, only workers that take from these grow, and the others shrink first.
    """
    if not answering:
        raise WrongUse("No worker answers. Start one with `replank worker --concurrency N`.")
    names = ", ".join(pool.worker for pool in answering)
    if worker is not None and worker not in [pool.worker for pool in answering]:
        raise WrongUse(f"There is no worker {worker}. These workers answer: {names}.")
    if worker is not None:
        answering = [pool for pool in answering if pool.worker == worker]
    fixed = [pool for pool in answering if not pool.follows_window]
    if not fixed:
        raise WrongUse(
            f"{', '.join(p.worker for p in answering)} was started with --autoscale: its pool follows the governor's "
            "window, and Celery refuses to change it. Change the window (`replank throttle`), or restart the worker "
            "with other bounds or without --autoscale."
        )
    if processes < len(fixed):
        raise WrongUse(
            f"{counted(len(fixed), 'worker', 'answers')}, and each keeps at least one process. Give {len(fixed)} or "
            "more, stop workers, or use `replank pause`."
        )
    sizes = {pool.worker: max(pool.processes, 1) for pool in fixed}
    useful = {pool.worker: sizes[pool.worker] for pool in fixed if pool.queues.intersection(waiting)} or sizes
    others = {name: size for name, size in sizes.items() if name not in useful}
    for_others = min(max(processes - sum(useful.values()), len(others)), sum(others.values()))
    return _in_proportion(useful, processes - for_others) | _in_proportion(others, for_others)


def _in_proportion(present: Mapping[str, int], wanted: int) -> dict[str, int]:
    """One each, and the rest by largest remainders; of equals the first by name is first."""
    if not present:
        return {}
    rest, total = wanted - len(present), sum(present.values())
    shares = {name: rest * size / total for name, size in present.items()}
    given = {name: int(share) for name, share in shares.items()}
    left = rest - sum(given.values())
    for name in sorted(shares, key=lambda name: (given[name] - shares[name], name))[:left]:
        given[name] += 1
    return {name: 1 + more for name, more in given.items()}
