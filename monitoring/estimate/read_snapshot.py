"""Reads a moment of a run from the ledger: what the estimate of the time left is made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from monitoring.estimate.snapshot import CacheSnapshot, Moment, ScriptsSnapshot, TableSnapshot, Work
from replank.values.states import RunState, TableState
from replank.values.steps import DATA_PHASE
from sql.ledger.jobs import work
from sql.ledger.jobs.work import Age, Rhythm, Tally
from sql.ledger.runs import history, scripts
from sql.ledger.runs.history import WindowChange
from sql.ledger.runs.runs import Run
from sql.ledger.tables.caches import Cache
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection

UNFINISHED = ("waiting", "failed")
FEW_JOBS = 8
LONGEST_IDLE_S = 1.0
OF_ROWS = ("copy", "verify", "backfill")
BLOCK_BYTES = 8_192
ORDINARY_ROW_BYTES = 200
WIDE_ROW_BYTES = 4_000
"""Half a block: such rows have most of what they hold out of line (TOAST)."""

_Of = tuple[int | None, int | None, str]


def read_snapshot(
    connection: Connection,
    run: Run,
    tallies: Sequence[Tally],
    *,
    found: Sequence[RunTable],
    sets: Sequence[ConversionSet],
    of_caches: Sequence[Cache],
) -> Moment:
    """The run as it stands now; `tallies` are its jobs, counted, `found` its tables."""
    run_id = run.run_id
    windows = history.window_changes(connection, run_id)
    done = _work(tallies, work.read_ages(connection, run_id))
    blocks = work.script_blocks(connection, run_id, before_phase=DATA_PHASE)
    planned = bool(found) or scripts.has_step(connection, run_id, run.plan.steps.carrier)
    workers = min(work.workers_lately(connection, run_id), last_open(windows, run))
    closed = closed_seconds(windows, until=None)
    rhythm = work.read_rhythm(connection, run_id)
    wanted = [] if planned else [(t.table_schema, t.name) for _, t in run.plan.wanted_tables]
    return Moment(
        at_s=work.seconds_since_begin(connection, run_id) - closed,
        open=run.state is RunState.RUNNING,
        workers=workers,
        unplanned=len(wanted),
        unplanned_rows=work.rows_of_tables(connection, wanted) if wanted else 0,
        turns=work.turns(connection, run_id),
        idle_s=idle_seconds(rhythm, workers),
        quiet_s=rhythm.quiet,
        working_s=None if rhythm.working is None else max(rhythm.working - closed, 0.0),
        measuring_s=work.measuring_seconds(connection, run_id),
        scripts=ScriptsSnapshot(done=blocks.done, seconds=blocks.seconds, left=blocks.left),
        tables=_tables(connection, run_id, found, sets, done),
        caches=tuple(
            CacheSnapshot(state=str(cache.state), work=done.get((None, cache.cache_no, "cache"), Work()))
            for cache in of_caches
        ),
    )


def closed_seconds(windows: Sequence[WindowChange], *, until: datetime | None) -> float:
    """For how long the window was closed: paused, or by a signal. `until` ends one that is still closed; None: now."""
    total = timedelta()
    for change, following in zip(windows, [*windows[1:], None], strict=False):
        if change.now == 0:
            end = until if following is None else following.at
            total += (end or datetime.now(change.at.tzinfo)) - change.at
    return total.total_seconds()


def last_open(windows: Sequence[WindowChange], run: Run) -> int:
    """The window, or what it was before it was closed."""
    if run.window_now:
        return run.window_now
    return next((change.now for change in reversed(windows) if change.now), 1)


def idle_seconds(rhythm: Rhythm, workers: int) -> float | None:
    """For how long one of as many places stood empty between two jobs. A pause is longer than the median sees."""
    if rhythm.jobs < FEW_JOBS:
        return None
    return min(max(rhythm.apart * workers - rhythm.took, 0.0), LONGEST_IDLE_S)


def _work(tallies: Iterable[Tally], ages: Iterable[Age]) -> dict[_Of, Work]:
    counted: dict[_Of, list[Tally]] = defaultdict(list)
    for tally in tallies:
        counted[tally.table_no, tally.cache_no, tally.kind].append(tally)
    running: dict[_Of, list[float]] = defaultdict(list)
    for age in ages:
        running[age.table_no, age.cache_no, age.kind].append(age.seconds)
    return {of: _of_kind(found, running[of]) for of, found in counted.items()}


def _of_kind(found: Sequence[Tally], running: Sequence[float]) -> Work:
    done = [tally for tally in found if tally.state == "done"]
    newest = max(tally.generation for tally in found)
    now = [tally for tally in done if tally.generation == newest]
    return Work(
        done=sum(tally.jobs for tally in done),
        rows=sum(_rows(tally) for tally in done),
        seconds=sum(tally.seconds for tally in done),
        done_now=sum(tally.jobs for tally in now),
        rows_now=sum(_rows(tally) for tally in now),
        waiting=sum(tally.jobs for tally in found if tally.state in UNFINISHED),
        running=tuple(running),
    )


def _rows(tally: Tally) -> int:
    """A backfill job looks at all keys that it was cut for, whether or not it fills anything."""
    return tally.keys if tally.kind == "backfill" else tally.rows


def _tables(
    connection: Connection,
    run_id: int,
    found: Sequence[RunTable],
    sets: Sequence[ConversionSet],
    done: dict[_Of, Work],
) -> tuple[TableSnapshot, ...]:
    indexes = _indexes(connection, run_id, found)
    keys: dict[tuple[str, str], int] = defaultdict(int)
    for one in sets:
        for key in one.foreign_keys:
            keys[key["schema"], key["table_name"]] += 1
    return tuple(
        _table(table, done, indexes=indexes[table.table_no], keys=keys[table.spec.schema, table.spec.name])
        for table in found
    )


def _table(table: RunTable, done: dict[_Of, Work], *, indexes: int, keys: int) -> TableSnapshot:
    mine = {kind: found for (table_no, _, kind), found in done.items() if table_no == table.table_no}
    copied = mine.get("copy", Work())
    rows = max(table.rows_estimate, copied.rows_now, 1)
    if table.state not in (TableState.PLANNED, TableState.CAPTURED, TableState.COPYING) and copied.done:
        # Counted, where it was estimated before.
        rows = max(copied.rows_now, 1)
    weight = weight_of(table.all_blocks, rows)
    mine = {kind: _weighted(work, weight) if kind in OF_ROWS else work for kind, work in mine.items()}
    return TableSnapshot(
        set_no=table.set_no,
        state=str(table.state),
        method=table.spec.method,
        rows=round(rows * weight),
        weight=weight,
        heaps=max(len(table.spec.next_heaps), 1),
        indexes=indexes,
        keys=keys,
        cut=table.cutting_finished,
        rounds=table.rounds,
        work=mine,
    )


def weight_of(all_blocks: int, rows: int) -> float:
    """As how many ordinary rows one counts: 1, but where rows are so wide that their bytes are most of the work."""
    each = all_blocks * BLOCK_BYTES / rows
    return each / ORDINARY_ROW_BYTES if each > WIDE_ROW_BYTES else 1.0


def _weighted(work: Work, weight: float) -> Work:
    return replace(work, rows=round(work.rows * weight), rows_now=round(work.rows_now * weight))


def _indexes(connection: Connection, run_id: int, found: Sequence[RunTable]) -> dict[int, int]:
    """By table number: all that are built, on every heap of the next table."""
    before = work.indexes_before(connection, run_id)
    made: dict[int, int] = {}
    for table in found:
        live = table.spec.heaps
        there = sum(before.get((heap.schema, heap.name), 0) for heap in live)
        made[table.table_no] = round(there / len(live) * len(table.spec.next_heaps)) if live else 0
    return made
