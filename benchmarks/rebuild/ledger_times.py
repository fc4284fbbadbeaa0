"""Where a finished run's time went, from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from benchmarks.rebuild.shop import LARGE_TABLE

_RUN = """
SELECT r.run_id, r.created_at, s.swapped_at, s.lock_wait_ms, s.lock_hold_ms, s.attempts,
       extract(epoch FROM s.swapped_at - r.created_at)::float8 AS seconds
  FROM replank.run r JOIN replank.conversion_set s USING (run_id)
 WHERE r.state = 'done' AND s.swapped_at IS NOT NULL
"""

_UNTIL_SWAP = """
SELECT sum(seconds)::float8 FROM (
  SELECT extract(epoch FROM max(s.swapped_at) - r.created_at) AS seconds
    FROM replank.run r JOIN replank.conversion_set s USING (run_id) GROUP BY r.run_id, r.created_at) AS runs
"""

# How long the large table was in each state until the swap; it is the last to be ready.
_STAGES = """
SELECT h.state, extract(epoch FROM lead(h.at) OVER (ORDER BY h.at) - h.at)::float8 AS seconds
  FROM replank.table_history h JOIN replank.run_table t USING (run_id, table_no)
 WHERE t.table_name = %(table)s AND h.at <= (SELECT swapped_at FROM replank.conversion_set)
 ORDER BY h.at
"""

# From the first chunk cut to the last constraint attached, both tables together.
_COPY_AND_INDEX = """
SELECT extract(epoch FROM max(at) FILTER (WHERE state = 'catching_up')
                        - min(at) FILTER (WHERE state = 'copying'))::float8
  FROM replank.table_history WHERE (table_no, state, at) IN (
       SELECT table_no, state, min(at) FROM replank.table_history GROUP BY table_no, state)
"""

# VACUUM and ANALYZE of the large table: its own time, not the wait behind verify jobs.
_VACUUM = """
SELECT coalesce(max(extract(epoch FROM j.finished_at - j.started_at)), 0)::float8
  FROM replank.job j JOIN replank.run_table t USING (run_id, table_no)
 WHERE t.table_name = %(table)s AND j.kind = 'vacuum'
"""

_KINDS = """
SELECT kind, count(*), avg(extract(epoch FROM finished_at - started_at))::float8 * 1000,
       max(extract(epoch FROM finished_at - started_at))::float8 * 1000,
       avg(extract(epoch FROM started_at - sent_at))::float8 * 1000
  FROM replank.job WHERE state = 'done' GROUP BY kind ORDER BY min(started_at)
"""

# Between two jobs of one worker, where there was work: what handing over a job takes.
_HANDOVER = """
SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY gap), 0)::float8 * 1000
  FROM (SELECT kind, lag(kind) OVER w AS kind_before,
               extract(epoch FROM started_at - lag(finished_at) OVER w) AS gap
          FROM replank.job WHERE kind IN ('copy', 'verify')
        WINDOW w AS (PARTITION BY worker ORDER BY started_at)) AS gaps
 WHERE kind = kind_before
"""

# Until the swap: the seconds in which a worker had a job, of all seconds that the workers were there.
_BUSY = """
SELECT coalesce(sum(extract(epoch FROM least(finished_at, s.swapped_at) - started_at)), 0)::float8
  FROM replank.job, replank.conversion_set s WHERE started_at < s.swapped_at
"""


@dataclass(frozen=True, kw_only=True)
class KindTimes:
    """Jobs of one kind: how many, how long each took, how long a message was under way (ms)."""

    kind: str
    jobs: int
    average_ms: float
    longest_ms: float
    dispatch_ms: float


@dataclass(frozen=True, kw_only=True)
class LedgerTimes:
    """Seconds of one run until its swap.

    `seconds`: from the run's first row in the ledger to the swap. `seconds_unverified`: the same
    without the stage of verification, but with the VACUUM and ANALYZE that are done beside it and
    would be needed anyway. `seconds_copy_and_index`: first chunk cut to last constraint attached.
    `stages`: the large table's states. `busy_share`: of the workers' time, that they had a job.
    `handover_ms`: median from a copy or verify job's end to the next one's begin on the same worker.
    """

    seconds: float
    seconds_unverified: float
    seconds_copy_and_index: float
    stages: dict[str, float]
    kinds: tuple[KindTimes, ...]
    busy_share: float
    handover_ms: float
    lock_wait_ms: float
    lock_hold_ms: float
    cutover_attempts: int


def seconds_until_swap(url: str) -> float:
    """Of all runs of a database together, each from its first row in the ledger to its last swap."""
    with psycopg.connect(url) as connection:
        found = connection.execute(_UNTIL_SWAP).fetchone()
    assert found is not None
    return float(found[0])


def read_ledger_times(url: str, *, workers: int) -> LedgerTimes:
    """Read the only run of a database. Raises ValueError if it is not done."""
    table = {"table": LARGE_TABLE}
    with psycopg.connect(url) as connection:
        run = connection.execute(_RUN).fetchone()
        if run is None:
            raise ValueError("the database holds no finished run")
        _, _, _, lock_wait_ms, lock_hold_ms, attempts, seconds = run
        stages: dict[str, float] = {}
        for state, lasted in connection.execute(_STAGES, table).fetchall():
            if lasted is not None:
                stages[state] = stages.get(state, 0.0) + lasted
        copy_and_index = connection.execute(_COPY_AND_INDEX).fetchone()
        vacuum = connection.execute(_VACUUM, table).fetchone()
        kinds = connection.execute(_KINDS).fetchall()
        busy = connection.execute(_BUSY).fetchone()
        handover = connection.execute(_HANDOVER).fetchone()
    assert copy_and_index is not None
    assert vacuum is not None
    assert busy is not None
    assert handover is not None
    verifying = stages.get("verifying", 0.0)
    return LedgerTimes(
        seconds=seconds,
        seconds_unverified=seconds - verifying + min(vacuum[0], verifying),
        seconds_copy_and_index=copy_and_index[0],
        stages=stages,
        kinds=tuple(
            KindTimes(kind=kind, jobs=jobs, average_ms=average, longest_ms=longest, dispatch_ms=dispatch)
            for kind, jobs, average, longest, dispatch in kinds
        ),
        busy_share=busy[0] / (seconds * workers),
        handover_ms=handover[0],
        lock_wait_ms=lock_wait_ms,
        lock_hold_ms=lock_hold_ms,
        cutover_attempts=attempts,
    )
