"""A ledger with a hundred thousand jobs in all states, as a run of large tables leaves it in its middle.

Nothing but the ledger is filled: the tables that it speaks of do not exist. So it serves whatever only looks.
"""

from __future__ import annotations

from replank.plan.plan import DatabasePlan, Plan
from replank.plan.tables.table_plan import ColumnPlan, TablePlan
from replank.values.chunk import Axis
from replank.values.states import TableState
from replank.values.steps import DATA_PHASE, PHASES
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.ledger.runs import runs
from sql.ledger.runs.events import add_step
from sql.ledger.tables import conversion_sets, tables
from sql.ledger.upgrades.ledger import ensure_ledger
from sql.session.connection import Connection, connect

STEP = "08-migrate-uuid-types"
CHUNK_BLOCKS = 256
ROWS_PER_CHUNK = 10_000
SECONDS_SO_FAR = 3_600

# Some tables are through, some are compared, the others are copied; one has only begun.
_STATES = (
    TableState.DONE,
    TableState.READY,
    TableState.VERIFYING,
    TableState.INDEXING,
    TableState.COPYING,
    TableState.COPYING,
    TableState.COPYING,
    TableState.CAPTURED,
)

_WAY = (
    TableState.CAPTURED,
    TableState.COPYING,
    TableState.FIRST_DRAIN,
    TableState.INDEXING,
    TableState.CATCHING_UP,
    TableState.VERIFYING,
    TableState.READY,
    TableState.SWAPPED,
    TableState.VALIDATING,
    TableState.DONE,
)

# `part` is where a job lies in its table, from 0 to 1: what is done comes first, then a few of everything, then what
# waits. Times spread over the hour so far.
_JOBS = """
WITH numbered AS (
  SELECT t.table_no, t.state AS table_state, n, n::float8 / %(each)s AS part,
         CASE t.state WHEN 'copying' THEN (%(each)s * 0.6)::int WHEN 'captured' THEN 0 ELSE %(each)s END AS done
    FROM replank.run_table t CROSS JOIN generate_series(0, %(each)s - 1) AS n WHERE t.run_id = %(run_id)s),
told AS (
  SELECT *, CASE WHEN table_state IN ('done', 'ready', 'verifying') AND part >= 0.7 THEN 'verify'
                 WHEN table_state <> 'copying' AND n = %(each)s - 1 THEN 'index' ELSE 'copy' END AS kind,
         CASE WHEN table_state = 'verifying' AND part >= 0.95 THEN 'waiting'
              WHEN n < done THEN 'done' WHEN table_state <> 'copying' THEN 'waiting'
              WHEN n < done + 2 THEN 'leased' WHEN n < done + 5 THEN 'failed'
              WHEN n = done + 5 THEN 'skipped' WHEN n = done + 6 THEN 'cancelled' ELSE 'waiting' END AS state
    FROM numbered)
INSERT INTO replank.job (run_id, step, table_no, kind, generation, axis, lower, upper, state, attempt, worker,
       backend_pid, sent_at, sends, started_at, finished_at, rows, error_class, sqlstate, message)
SELECT %(run_id)s, %(step)s, table_no, kind, CASE kind WHEN 'verify' THEN 2 ELSE 1 END, 'heap',
       jsonb_build_array((n * %(blocks)s)::text), jsonb_build_array(((n + 1) * %(blocks)s)::text), state,
       CASE state WHEN 'waiting' THEN 0 WHEN 'failed' THEN 8 ELSE 1 + (n %% 50 = 0)::int END,
       CASE WHEN state <> 'waiting' THEN 'worker-' || n %% 4 || '@host' END, CASE WHEN state = 'leased' THEN 1 END,
       CASE WHEN state <> 'waiting' THEN began END, CASE WHEN state <> 'waiting' THEN 1 ELSE 0 END,
       CASE WHEN state <> 'waiting' THEN began END,
       CASE WHEN state NOT IN ('waiting', 'leased') THEN began + interval '900 ms' END,
       CASE WHEN state = 'done' AND kind <> 'index' THEN %(rows)s ELSE 0 END,
       CASE WHEN state = 'failed' THEN 'value does not convert' END, CASE WHEN state = 'failed' THEN '22P02' END,
       CASE WHEN state = 'failed' THEN 'invalid input syntax for type uuid: "n/a"' END
  FROM told, LATERAL (
    SELECT clock_timestamp() - (1 - least(n::float8 / greatest(done, 1), 1)) * %(seconds)s * interval '1 second'
           - interval '1 second' AS began) AS times
"""

_HISTORY = """
INSERT INTO replank.table_history (run_id, table_no, state, at)
SELECT t.run_id, t.table_no, w.state, clock_timestamp() - (1 - w.place / 10.0) * %(seconds)s * interval '1 second'
  FROM replank.run_table t CROSS JOIN unnest(%(way)s::text[]) WITH ORDINALITY AS w (state, place)
 WHERE t.run_id = %(run_id)s AND w.place <= array_position(%(way)s::text[], t.state)
"""

_EVENTS = """
INSERT INTO replank.event (run_id, at, actor, kind, subject, message)
SELECT %(run_id)s, clock_timestamp() - (1000 - n) * interval '3 seconds', 'coordinator', 'verification',
       'public.table_' || 1 + n %% 8, 'verified: ' || n || ' rows, counts and sums are equal'
  FROM generate_series(1, 1000) AS n
"""

_WINDOWS = """
INSERT INTO replank.window_change (run_id, at, now, maximum, reason)
SELECT %(run_id)s, clock_timestamp() - (600 - n) * interval '6 seconds', 4 + n %% 12, 16, 'raised step by step'
  FROM generate_series(1, 600) AS n
"""


def fill_ledger(url: str, *, jobs: int = 100_000) -> int:
    """Fill the ledger of the database at `url`, which may hold none; `jobs` are spread over eight tables.

    Returns the run's id. The run is `running`, without a coordinator.
    """
    with connect(url, name="big ledger") as connection:
        ensure_ledger(connection)
        names = [f"table_{n}" for n in range(1, len(_STATES) + 1)]
        column = ColumnPlan(name="id", to="uuid")
        plan = Plan(
            name="big",
            database=DatabasePlan(name=connection.info.dbname),
            tables=tuple(TablePlan(name=name, columns=(column,)) for name in names),
        )
        with connection.transaction():
            run_id = runs.create_run(connection, plan, hold_cutover=False)
            add_step(connection, run_id, phase=DATA_PHASE, phase_name=PHASES[DATA_PHASE], step=STEP)
            each = jobs // len(names)
            for number, name in enumerate(names, start=1):
                conversion_sets.add_set(connection, run_id, number, [])
                _add_table(connection, run_id, number, name, rows=each * ROWS_PER_CHUNK)
            _fill(connection, run_id, each)
        connection.execute("VACUUM (ANALYZE)")
    return run_id


def _add_table(connection: Connection, run_id: int, number: int, name: str, *, rows: int) -> None:
    spec = TableSpec(
        oid=number,
        schema="public",
        name=name,
        run_id=run_id,
        table_no=number,
        columns=(ColumnSpec(name="id", live_type="text", next_type="uuid", generated=False, hash_as_text=False),),
        key=("id",),
        capture="statement",
        partitioned_by="",
        partitions=(),
        shape="",
    )
    tables.add_table(connection, spec, set_no=number, axis=Axis.HEAP, axis_reason="a test", rows_estimate=rows)


def _fill(connection: Connection, run_id: int, each: int) -> None:
    """States as if they had been reached, then what a run of them leaves behind."""
    told = {"run_id": run_id, "seconds": SECONDS_SO_FAR}
    connection.execute(
        "UPDATE replank.run_table SET state = (%(states)s::text[])[table_no], cutting_finished = true,"
        " heap_blocks = %(blocks)s, generation = CASE WHEN table_no <= 3 THEN 2 ELSE 1 END WHERE run_id = %(run_id)s",
        {**told, "states": [str(state) for state in _STATES], "blocks": each * CHUNK_BLOCKS},
    )
    connection.execute(
        "UPDATE replank.run SET created_at = clock_timestamp() - %(seconds)s * interval '1 second', window_now = 8"
        " WHERE run_id = %(run_id)s",
        told,
    )
    connection.execute(_JOBS, {**told, "each": each, "step": STEP, "blocks": CHUNK_BLOCKS, "rows": ROWS_PER_CHUNK})
    connection.execute(_HISTORY, {**told, "way": [str(state) for state in _WAY]})
    connection.execute(_EVENTS, told)
    connection.execute(_WINDOWS, told)
