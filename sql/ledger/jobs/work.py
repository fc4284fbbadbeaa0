"""How much of a run's work is done, in as few questions as possible: what `status` and the estimate stand on.

All counts of jobs come from one pass over them. An hour's run of a large database has a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from sql.session.connection import Connection, row, rows, value
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Jobs of one kind, generation and state, of one table or cache.

    `keys` are those that backfill jobs were cut for; `seconds` is what the done ones took together.
    """

    table_no: int | None
    cache_no: int | None
    kind: str
    generation: int
    state: str
    jobs: int
    rows: int
    keys: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Age:
    """A job that a worker has begun, and for how long it has been under way."""

    table_no: int | None
    cache_no: int | None
    kind: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ScriptBlocks:
    """Blocks of the scripts before the data migration: done, the seconds these took, still to do."""

    done: int
    left: int
    seconds: float


def read_tallies(connection: Connection, run_id: int) -> list[Tally]:
    """All jobs of the run, counted."""
    return [Tally(**r) for r in rows(connection, query("work.tallies"), {"run_id": run_id})]


def read_ages(connection: Connection, run_id: int) -> list[Age]:
    """What is under way now."""
    return [Age(**r) for r in rows(connection, query("work.ages"), {"run_id": run_id})]


def script_blocks(connection: Connection, run_id: int, *, before_phase: int) -> ScriptBlocks:
    found = row(connection, query("work.scripts"), {"run_id": run_id, "before_phase": before_phase})
    assert found is not None
    return ScriptBlocks(**found)


def indexes_before(connection: Connection, run_id: int) -> dict[tuple[str, str], int]:
    """(schema, name) of a relation → how many indexes it had when the run began."""
    found = rows(connection, query("work.indexes_before"), {"run_id": run_id})
    return {(r["relation"][0], r["relation"][1]): r["n"] for r in found}


def turns(connection: Connection, run_id: int) -> dict[str, tuple[int, float]]:
    """State → how often a table was moved into it right after another move, and the median of the seconds between."""
    return {r["state"]: (r["n"], r["seconds"]) for r in rows(connection, query("work.turns"), {"run_id": run_id})}


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


def read_rhythm(connection: Connection, run_id: int) -> Rhythm:
    found = row(connection, query("work.rhythm"), {"run_id": run_id})
    assert found is not None
    return Rhythm(**found)


def workers_lately(connection: Connection, run_id: int) -> int:
    """How many workers have, or had lately, jobs of the run. A pause does not make them fewer."""
    return int(value(connection, query("work.workers_lately"), {"run_id": run_id}))


def rows_of_tables(connection: Connection, names: Sequence[tuple[str, str]]) -> int:
    """What the catalogue says of tables (schema, name) together; of those that are not there, nothing."""
    return int(value(connection, query("work.rows_of_tables"), {"names": Jsonb([list(name) for name in names])}))


def measuring_seconds(connection: Connection, run_id: int) -> float:
    """What measuring took before the run's first write."""
    return float(value(connection, query("work.measuring_seconds"), {"run_id": run_id}))


def seconds_since_begin(connection: Connection, run_id: int) -> float:
    return float(value(connection, query("work.clock"), {"run_id": run_id}))
