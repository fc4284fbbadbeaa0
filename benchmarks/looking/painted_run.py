"""A run that never ran: a ledger full of jobs in every state, for looking at pages and for measuring them."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from replank.plan.plan import Plan
from replank.values.chunk import Axis
from replank.values.states import TableState, WindowCause
from replank.values.steps import DATA_PHASE, PHASES
from replank.values.table_spec import TableSpec
from sql.ledger.runs import runs
from sql.ledger.runs.events import add_event, add_step
from sql.ledger.tables import tables
from sql.ledger.upgrades.ledger import ensure_ledger
from sql.session.connection import connect

NAMES = ("Booking", "Payment", "User", "Organisation", "Invoice", "AuditLog", "Session", "<script>alert(1)</script>")

JOBS = """
INSERT INTO replank.job (run_id, step, table_no, kind, generation, axis, lower, upper, state, attempt, sent_at, worker,
                         started_at, finished_at, rows, error_class, sqlstate, message)
SELECT %(run)s, '08-migrate-uuid-types', %(table)s, %(kind)s, 1, 'heap', jsonb_build_array((n * 512)::text),
       jsonb_build_array(((n + 1) * 512)::text), s.state, CASE WHEN s.state = 'waiting' AND n %% 211 <> 0 THEN 0
                                                      WHEN n %% 97 = 0 THEN 3 ELSE 1 END,
       CASE WHEN s.state = 'leased' THEN clock_timestamp() END, 'host-' || n %% 4 || ':' || 4000 + n %% 16,
       clock_timestamp() - (%(jobs)s - n) * interval '0.9 second' * 600 / %(jobs)s - interval '1 second',
       CASE WHEN s.state = 'done' THEN clock_timestamp() - (%(jobs)s - n) * interval '0.9 second' * 600 / %(jobs)s END,
       CASE WHEN s.state = 'done' THEN 12000 + n * 7919 %% 5000 ELSE 0 END,
       CASE WHEN s.state = 'failed' THEN 'value does not convert' END, CASE WHEN s.state = 'failed' THEN '22P02' END,
       CASE WHEN s.state = 'failed' THEN 'invalid input syntax for type uuid: "legacy-' || n || '"' END
  FROM generate_series(0, %(jobs)s - 1) AS n,
       LATERAL (SELECT CASE WHEN %(share)s < 1 AND n = (%(jobs)s * 0.31)::int THEN 'failed'
                            WHEN %(share)s < 1 AND n = (%(jobs)s * 0.47)::int THEN 'skipped'
                            WHEN n < %(jobs)s * %(share)s THEN 'done'
                            WHEN n < %(jobs)s * %(share)s + 4 THEN 'leased' ELSE 'waiting' END AS state) AS s
"""


def paint_run(url: str, *, jobs: int, names: Sequence[str] = NAMES) -> int:
    """A run over the named tables with about so many jobs, and some of them in every state. Returns its number."""
    with connect(url, name="painter") as connection:
        ensure_ledger(connection)
        wanted = [{"name": name, "columns": [{"name": "id", "to": "uuid"}]} for name in names]
        plan = Plan.model_validate({"name": "painted", "database": {"name": "painted"}, "tables": wanted})
        run_id = runs.create_run(connection, plan, hold_cutover=True)
        add_step(connection, run_id, phase=DATA_PHASE, phase_name=PHASES[DATA_PHASE], step="08-migrate-uuid-types")
        runs.set_window(
            connection, run_id, now=4, maximum=16, cause=WindowCause.LIMIT, signal="", reason="the plan's limit"
        )
        # Two of four tables have come to their jobs.
        each = 2 * jobs // len(names)
        for number, name in enumerate(names):
            spec = _spec(run_id, number, name)
            tables.add_table(
                connection,
                spec,
                set_no=number // 4,
                axis=Axis.HEAP,
                axis_reason="random keys",
                rows_estimate=each * 14_500,
            )
            state = (TableState.COPYING, TableState.VERIFYING, TableState.PLANNED)[min(number % 4, 2)]
            _paint_table(connection, run_id, number, state, each)
        for minute, size in enumerate((8, 12, 16, 8, 4, 5, 6, 0, 1, 2, 4)):
            reason = "replica lag 12.4 s is over 10 s" if size in (8, 4) else "the plan's limit"
            connection.execute(
                "INSERT INTO replank.window_change SELECT %s, clock_timestamp() - %s * interval '1 minute', %s, 16, %s",
                [run_id, 11 - minute, size, reason],
            )
        for kind in ("begin", "pause", "resume", "retry"):
            add_event(connection, run_id, actor="alice", kind=kind, message="through the page")
    return run_id


def _spec(run_id: int, number: int, name: str) -> TableSpec:
    return TableSpec(
        oid=number + 1,
        schema="public",
        name=name,
        run_id=run_id,
        table_no=number,
        columns=(),
        key=("id",),
        capture="statement",
        partitioned_by="",
        partitions=(),
        shape="",
    )


def _paint_table(
    connection: psycopg.Connection[tuple[object, ...]], run_id: int, number: int, state: TableState, jobs: int
) -> None:
    connection.execute(
        "UPDATE replank.run_table SET state = %s, cutting_finished = true WHERE run_id = %s AND table_no = %s",
        [str(state), run_id, number],
    )
    if state is TableState.PLANNED:
        return
    shares = {"copy": 0.6} if state is TableState.COPYING else {"copy": 1.0, "verify": 0.3}
    for kind, share in shares.items():
        named = {"run": run_id, "table": number, "kind": kind, "jobs": max(jobs // len(shares), 1), "share": share}
        connection.execute(JOBS, named)
