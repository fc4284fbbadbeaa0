"""Verifications in the ledger: what is proved of each table, since when, and what capture depended on at that time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb
from sqlalchemy import and_, case, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from replank.values.states import JobKind, JobState, sources
from replank.values.table_spec import TableSpec
from sql.ledger.schema.job_tables import JOB
from sql.ledger.schema.table_tables import RUN_TABLE, VERIFICATION
from sql.rows.capture_continuity import CaptureFacts
from sql.session.connection import Connection, run
from sql.session.named_queries import query
from sql.session.typed_queries import Command, Query, among, given


@dataclass(frozen=True, kw_only=True)
class Verification:
    """A table's latest verification, and the latest that passed. `now` is the server's clock at the reading."""

    table_no: int
    generation: int
    capture_facts: CaptureFacts
    started_at: datetime
    passed_generation: int | None
    passed_capture_facts: CaptureFacts
    passed_at: datetime | None
    doubt: str
    because: str
    now: datetime

    @property
    def passed(self) -> bool:
        return self.passed_generation is not None

    @property
    def under_way(self) -> bool:
        """Whether one has begun that is not judged yet."""
        return self.generation != self.passed_generation

    def is_older_than(self, pause: timedelta) -> bool:
        """Counted from its end, or from the beginning of a later one that was given up."""
        return self.now - max(self.started_at, self.passed_at or self.started_at) >= pause


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The same for people, without the facts of capture. `rounds` is how many have passed."""

    table_no: int
    passed_at: datetime | None
    rounds: int
    because: str
    doubt: str
    under_way: bool


_V = VERIFICATION.c
_RUN = _V.run_id == given("run_id")
_TABLE = and_(_RUN, _V.table_no == given("table_no"))
_CHANGE = update(VERIFICATION).where(_TABLE)

_READ = Query(
    select(
        *(_V[name] for name in ("table_no", "generation", "capture_facts", "started_at", "passed_generation")),
        func.coalesce(_V.passed_capture_facts, literal_column("'[]'")).label("passed_capture_facts"),
        *(_V[name] for name in ("passed_at", "doubt", "because")),
        func.clock_timestamp().label("now"),
    )
    .where(_RUN)
    .order_by(_V.table_no),
    Verification,
)
_SHOWN = Query(
    select(
        *(_V[name] for name in ("table_no", "passed_at", "rounds", "because", "doubt")),
        _V.generation.is_distinct_from(_V.passed_generation).label("under_way"),
    ).where(_RUN),
    Shown,
)
_CLOCK = Query(select(func.clock_timestamp()), datetime)

_NEXT = insert(VERIFICATION).values(
    {name: given(name) for name in ("run_id", "table_no", "generation", "capture_facts", "started_at")}
)
_BEGIN = Command(
    _NEXT.on_conflict_do_update(
        index_elements=["run_id", "table_no"],
        set_={name: _NEXT.excluded[name] for name in ("generation", "capture_facts", "started_at")},
    )
)
_PASSED = Command(
    _CHANGE.where(_V.generation == given("generation")).values(
        passed_generation=_V.generation,
        passed_capture_facts=_V.capture_facts,
        passed_at=func.clock_timestamp(),
        passed_rows=given("rows"),
        rounds=_V.rounds + 1,
        because="",
        # A doubt that is older than its beginning goes with it.
        doubt=case((_V.doubted_at >= _V.started_at, _V.doubt), else_=""),
    )
)
_GIVE_UP = Command(_CHANGE.where(_V.passed_generation.is_not(None)).values(generation=_V.passed_generation))
_VOID = Command(_CHANGE.values(passed_generation=None, because=given("because")))
_DOUBT = Command(_CHANGE.values(doubt=given("doubt"), doubted_at=func.clock_timestamp()))
_TRUST = Command(_CHANGE.where(_V.doubt != "").values(doubt=""))
_RESET_ROUNDS = Command(
    update(RUN_TABLE)
    .where(RUN_TABLE.c.run_id == given("run_id"), RUN_TABLE.c.table_no == given("table_no"))
    .values(rounds=0)
)

_JOBS = and_(
    JOB.c.run_id == given("run_id"),
    JOB.c.table_no == given("table_no"),
    JOB.c.kind == JobKind.VERIFY,
    JOB.c.generation == given("generation"),
)
_UNFINISHED = Query(
    select(func.count()).select_from(JOB).where(_JOBS, JOB.c.state.not_in([JobState.DONE, JobState.SPLIT])), int
)
_RECALL = Command(
    update(JOB)
    .where(_JOBS, JOB.c.state.in_([JobState.WAITING, JobState.FAILED]), among(JOB.c.state, "sources"))
    .values(state=JobState.CANCELLED, finished_at=func.clock_timestamp())
)


def read(connection: Connection, run_id: int) -> dict[int, Verification]:
    """By table number, of tables that were ever verified."""
    return {found.table_no: found for found in _READ.all(connection, run_id=run_id)}


def shown(connection: Connection, run_id: int) -> dict[int, Shown]:
    """By table number."""
    return {found.table_no: found for found in _SHOWN.all(connection, run_id=run_id)}


def clock(connection: Connection) -> datetime:
    """The server's time, for the beginning of a verification."""
    return _CLOCK.only(connection)


def begin(
    connection: Connection, table: TableSpec, *, generation: int, capture_facts: CaptureFacts, started_at: datetime
) -> None:
    """`capture_facts` were read, and `started_at` taken, before the verification's snapshot.

    What passed before keeps counting until this one is judged.
    """
    facts = Jsonb(sorted(capture_facts))
    _BEGIN(connection, **_id(table), generation=generation, capture_facts=facts, started_at=started_at)


def passed(connection: Connection, table: TableSpec, *, generation: int, rows_live: int) -> bool:
    """Both sides are equal. False where that verification is not the latest one."""
    return _PASSED(connection, **_id(table), generation=generation, rows=rows_live) > 0


def give_up(connection: Connection, table: TableSpec, generation: int) -> None:
    """The verification is not judged: what has not begun of it ends here, and the one before keeps counting."""
    _RECALL(connection, **_id(table), generation=generation, sources=sources(JobState.CANCELLED))
    _GIVE_UP(connection, **_id(table))


def void(connection: Connection, table: TableSpec, because: str) -> None:
    """Nothing counts as proved until the next one has passed; repairs are counted from here."""
    _VOID(connection, **_id(table), because=because)
    _RESET_ROUNDS(connection, **_id(table))


def doubt(connection: Connection, table: TableSpec, words: str) -> bool:
    """The set is held until a later verification finds nothing. False where none has begun: then one comes anyway."""
    return _DOUBT(connection, **_id(table), doubt=words) > 0


def trust(connection: Connection, table: TableSpec) -> bool:
    """Take a doubt back. False where there was none."""
    return _TRUST(connection, **_id(table)) > 0


def unfinished(connection: Connection, table: TableSpec, generation: int) -> int:
    """Verify jobs of a generation that are not done; those that were split count by their halves."""
    return _UNFINISHED.only(connection, **_id(table), generation=generation)


def still_proved(connection: Connection, run_id: int, set_no: int, proofs: Mapping[int, int]) -> bool:
    """Under the lock: whether the proofs (table number → generation) of all tables of a set still count."""
    named = {"run_id": run_id, "set_no": set_no, "numbers": list(proofs), "generations": list(proofs.values())}
    # Its plan is kept: every millisecond under the lock counts.
    found = run(connection, query("verifications.proved"), named, prepare=True).fetchone()
    return found is not None and found[0] == len(proofs)


def _id(table: TableSpec) -> dict[str, int]:
    return {"run_id": table.run_id, "table_no": table.table_no}
