"""How much of a run's work is done, in as few questions as possible: what `status` and the estimate stand on.

All counts of jobs come from one pass over them. An hour's run of a large database has a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, Double, Integer, case, extract, func, select

from replank.values.states import JobKind, JobState, ScriptDirection, TableState
from sql.ledger.schema.fact_tables import CATALOGUE_BEFORE, MEASUREMENT
from sql.ledger.schema.job_tables import JOB
from sql.ledger.schema.run_tables import RUN, SCRIPT, STEP
from sql.session.connection import Connection
from sql.session.typed_queries import Query, given


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Jobs of one kind, generation and state, of one table or cache.

    `keys` are those that backfill jobs were cut for; `seconds` is what the done ones took together.
    """

    table_no: int | None
    cache_no: int | None
    kind: JobKind
    generation: int
    state: JobState
    jobs: int
    rows: int
    keys: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Age:
    """A job that a worker has begun, and for how long it has been under way."""

    table_no: int | None
    cache_no: int | None
    kind: JobKind
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ScriptBlocks:
    """Blocks of the scripts before the data migration: done, the seconds these took, still to do."""

    done: int
    left: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """The newest short jobs ended `apart` seconds after each other at the median, and took `took` at the mean.

    No table has been moved for `quiet` seconds; the first job began `working` seconds ago, None where none is done.
    """

    jobs: int
    apart: float
    took: float
    quiet: float
    working: float | None


@dataclass(frozen=True, kw_only=True)
class _IndexesOf:
    relation: tuple[str, str]
    """(schema, name)."""
    indexes: int


@dataclass(frozen=True, kw_only=True)
class _Turn:
    state: TableState
    moves: int
    seconds: float


_RUN = JOB.c.run_id == given("run_id")
_FORWARD: ScriptDirection = "forward"
_WHOSE = (JOB.c.table_no, JOB.c.cache_no, JOB.c.kind, JOB.c.generation, JOB.c.state)
_KEYS = case((JOB.c.kind == JobKind.BACKFILL, JOB.c.detail["keys"].astext.cast(Integer)))
_DONE_FOR = func.sum(JOB.c.finished_at - JOB.c.started_at).filter(JOB.c.state == JobState.DONE)
_TALLIES = Query(
    select(
        *_WHOSE,
        func.count().cast(Integer).label("jobs"),
        func.sum(JOB.c.rows).cast(BigInteger).label("rows"),
        func.coalesce(func.sum(_KEYS), 0).cast(BigInteger).label("keys"),
        func.coalesce(extract("epoch", _DONE_FOR), 0).cast(Double).label("seconds"),
    )
    .where(_RUN)
    .group_by(*_WHOSE),
    Tally,
)
_AGES = Query(
    select(
        JOB.c.table_no,
        JOB.c.cache_no,
        JOB.c.kind,
        extract("epoch", func.clock_timestamp() - JOB.c.started_at).cast(Double).label("seconds"),
    )
    .where(_RUN, JOB.c.state == JobState.LEASED)
    .order_by(JOB.c.job_id),
    Age,
)
_TOOK = extract("epoch", func.coalesce(STEP.c.finished_at, func.clock_timestamp()) - STEP.c.started_at)
_SCRIPT_BLOCKS = Query(
    select(
        func.coalesce(func.sum(SCRIPT.c.blocks_done), 0).cast(Integer).label("done"),
        func.coalesce(func.sum(SCRIPT.c.blocks - SCRIPT.c.blocks_done), 0).cast(Integer).label("left"),
        func.coalesce(func.sum(_TOOK), 0).cast(Double).label("seconds"),
    )
    .select_from(SCRIPT.join(STEP, (STEP.c.run_id == SCRIPT.c.run_id) & (STEP.c.step == SCRIPT.c.step)))
    .where(SCRIPT.c.run_id == given("run_id"), SCRIPT.c.direction == _FORWARD, STEP.c.phase < given("before_phase")),
    ScriptBlocks,
)
_INDEXES_BEFORE = Query(
    select(func.parse_ident(CATALOGUE_BEFORE.c.relation).label("relation"), func.count().cast(Integer).label("indexes"))
    .where(CATALOGUE_BEFORE.c.run_id == given("run_id"), CATALOGUE_BEFORE.c.what == "index")
    .group_by(CATALOGUE_BEFORE.c.relation),
    _IndexesOf,
)
_MEASURING = Query(
    select(func.coalesce(MEASUREMENT.c.document["seconds"].astext.cast(Double), 0.0)).where(
        MEASUREMENT.c.run_id == given("run_id"), MEASUREMENT.c.moment == "before"
    ),
    float,
)
_CLOCK = Query(
    select(extract("epoch", func.clock_timestamp() - RUN.c.created_at).cast(Double)).where(
        RUN.c.run_id == given("run_id")
    ),
    float,
)
_TURNS = Query("work.turns", _Turn)
_RHYTHM = Query("work.rhythm", Rhythm)
_WORKERS_LATELY = Query("work.workers_lately", int)
_ROWS_OF_TABLES = Query("work.rows_of_tables", int)


def read_tallies(connection: Connection, run_id: int) -> list[Tally]:
    """All jobs of the run, counted."""
    return _TALLIES.all(connection, run_id=run_id)


def read_ages(connection: Connection, run_id: int) -> list[Age]:
    """What is under way now."""
    return _AGES.all(connection, run_id=run_id)


def script_blocks(connection: Connection, run_id: int, *, before_phase: int) -> ScriptBlocks:
    return _SCRIPT_BLOCKS.only(connection, run_id=run_id, before_phase=before_phase)


def indexes_before(connection: Connection, run_id: int) -> dict[tuple[str, str], int]:
    """(schema, name) of a relation → how many indexes it had when the run began."""
    return {found.relation: found.indexes for found in _INDEXES_BEFORE.all(connection, run_id=run_id)}


def turns(connection: Connection, run_id: int) -> dict[str, tuple[int, float]]:
    """State → how often a table was moved into it right after another move, and the median of the seconds between."""
    return {str(found.state): (found.moves, found.seconds) for found in _TURNS.all(connection, run_id=run_id)}


def read_rhythm(connection: Connection, run_id: int) -> Rhythm:
    return _RHYTHM.only(connection, run_id=run_id)


def workers_lately(connection: Connection, run_id: int) -> int:
    """How many workers have, or had lately, jobs of the run. A pause does not make them fewer."""
    return _WORKERS_LATELY.only(connection, run_id=run_id)


def rows_of_tables(connection: Connection, names: Sequence[tuple[str, str]]) -> int:
    """What the catalogue says of tables (schema, name) together; of those that are not there, nothing."""
    return _ROWS_OF_TABLES.only(connection, names=Jsonb([list(name) for name in names]))


def measuring_seconds(connection: Connection, run_id: int) -> float:
    """What measuring took before the run's first write."""
    return _MEASURING.first(connection, run_id=run_id) or 0.0


def seconds_since_begin(connection: Connection, run_id: int) -> float:
    """By the server's clock."""
    return _CLOCK.only(connection, run_id=run_id)
