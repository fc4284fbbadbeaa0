"""Everything the report is made of, read from the ledger and the catalogue in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitoring.report.audit_facts import AuditFacts, read_audit
from monitoring.report.speed import Speed, compare_queries
from monitoring.report.statements import ErrorsStatement, JournalStatement
from monitoring.status.caches import CachesProgress, caches_progress
from monitoring.status.durations import spans_of
from monitoring.status.quarantine import quarantined_rows
from monitoring.status.rollback_possible import RollbackFacts, read_rollback_facts
from replank.values.measurement import MeasuredTable, Measurement, SecurityFact
from replank.values.states import JobKind, RunState, TableState
from replank.values.steps import DATA_PHASE
from sql.drain.verification_sums import VerificationSums, add_up
from sql.ledger.jobs import job_reports
from sql.ledger.runs import history, measurements
from sql.ledger.runs.events import Event, read_events, table_moves
from sql.ledger.runs.gates import server_now
from sql.ledger.runs.history import StepTimes, WindowChange, WorkDone
from sql.ledger.runs.runs import Run
from sql.ledger.tables import caches, conversion_sets, tables, verifications
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.ledger.tables.verifications import Verification
from sql.measurement import measure
from sql.session.connection import Connection

MOST_EVENTS = 2_000
SPANS = 72
"""How many bars the chart of the rows has at most."""

SWAPPED = (TableState.SWAPPED, TableState.VALIDATING, TableState.DONE)


@dataclass(frozen=True, kw_only=True)
class Hits:
    """A cache's hits. `counts` is true where the cache itself counts them; else they are blocks in memory."""

    name: str
    hits: int
    misses: int
    counts: bool

    @property
    def lookups(self) -> int:
        return self.hits + self.misses

    @property
    def rate(self) -> float | None:
        return self.hits / self.lookups if self.lookups else None


@dataclass(frozen=True, kw_only=True)
class VerifiedTable:
    """A table of the run with its last verification; `sides` is None where there is none."""

    name: str
    rebuilt: bool
    done: bool
    state: str
    sides: VerificationSums | None


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A table that was compared for this report. `mismatches` is None where that could not be, and `why` says so."""

    name: str
    rows_past: int | None
    rows_new: int | None
    mismatches: int | None
    why: str


@dataclass(frozen=True, kw_only=True)
class Note:
    """A section that another part of Replank hands in: a title, a sentence, and a table of texts."""

    title: str
    words: str = ""
    headings: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the command brings along: others' statements, a comparison, sections on gates and on the rehearsal."""

    journal: JournalStatement | None = None
    errors: ErrorsStatement | None = None
    compared: tuple[Compared, ...] = ()
    gates: tuple[Note, ...] = ()
    rehearsal: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A run, the database before and after it, and what happened between."""

    run: Run
    now: datetime
    server: str
    before: Measurement | None
    after: Measurement | None
    tables: tuple[MeasuredTable, ...]
    security: tuple[SecurityFact, ...]
    verified: tuple[VerifiedTable, ...]
    hits: tuple[Hits, ...]
    audit: AuditFacts
    activity: dict[str, Any]
    steps: tuple[StepTimes, ...]
    stages: dict[str, tuple[datetime, datetime]]
    sets: tuple[ConversionSet, ...]
    members: dict[int, list[str]]
    rows_over_time: tuple[tuple[str, int, int], ...]
    span_s: float
    window: tuple[WindowChange, ...]
    work: tuple[WorkDone, ...]
    events: tuple[Event, ...]
    quarantined: dict[str, int]
    unvalidated: tuple[str, ...]
    invalid: tuple[str, ...]
    caches: CachesProgress
    rollback_facts: RollbackFacts | None = None
    given: Given = field(default_factory=Given)

    @property
    def journal(self) -> JournalStatement | None:
        return self.given.journal

    @property
    def errors(self) -> ErrorsStatement | None:
        return self.given.errors

    @property
    def compared(self) -> tuple[Compared, ...]:
        return self.given.compared

    @property
    def speed(self) -> Speed:
        return Speed(queries=()) if self.before is None else compare_queries(self.before, self.after)

    @property
    def not_yet(self) -> str:
        """Why there is no measurement after the run."""
        if self.run.state in (RunState.DONE, RunState.FINISHED):
            return "not measured after the swap; `replank report --measure` does so now"
        return f"not yet: the run is {self.run.state}"

    @property
    def ended_at(self) -> datetime:
        """When the run was done; the moment of the report while it is not."""
        return self.run.finished_at or self.now

    @property
    def activity_words(self) -> str:
        """The server's counters since the run began, as evidence."""
        before = {} if self.before is None else self.before.activity
        if not before or not self.activity:
            return ""
        names = ("commits", "rollbacks", "deadlocks", "sessions_fatal", "sessions_killed")
        reset = before["counted_since"] != self.activity["counted_since"]
        if reset or any(self.activity[name] < before[name] for name in names):
            return "The server's counters were reset since, so they say nothing"
        counted = ", ".join(f"{self.activity[n] - before[n]:,} {n.replace('_', ' ')}" for n in names)
        return f"The server counted since the run began: {counted}"


def read_facts(connection: Connection, run: Run, *, schemas: set[str], audited: Sequence[str], given: Given) -> Facts:
    """Read everything. `audited` are the tables that the audit log has to capture; nothing is changed."""
    run_id = run.run_id
    known = measurements.read_measurements(connection, run_id)
    run_tables = tables.read_tables(connection, run_id)
    sets = conversion_sets.read_sets(connection, run_id)
    found = measure.read_tables(connection, schemas)
    steps = history.read_steps(connection, run_id)
    now = server_now(connection)
    span_s = max(1.0, ((run.finished_at or now) - run.created_at).total_seconds() / SPANS)
    began = next((s.started_at for s in steps if s.phase == DATA_PHASE and s.started_at), run.created_at)
    of_caches = caches_progress(connection, run_id, caches.read_caches(connection, run_id))
    proofs = verifications.read(connection, run_id)
    return Facts(
        run=run,
        now=now,
        server=connection.info.parameter_status("server_version") or "",
        before=known.get("before"),
        after=known.get("after"),
        tables=tuple(found),
        security=tuple(measure.read_security(connection)),
        verified=tuple(_verified(connection, table, proofs.get(table.table_no)) for table in run_tables),
        hits=tuple(_hits(connection, run, of_caches)),
        audit=read_audit(connection, run, measured=found, known=known, audited=audited),
        activity=measure.read_activity(connection),
        steps=tuple(steps),
        stages=spans_of(table_moves(connection, run_id), began),
        sets=tuple(sets),
        members=_members(run_tables),
        rows_over_time=tuple(history.rows_over_time(connection, run_id, since=run.created_at, span_s=span_s)),
        span_s=span_s,
        window=tuple(history.window_changes(connection, run_id)),
        work=tuple(history.work_done(connection, run_id)),
        events=tuple(read_events(connection, run_id, limit=MOST_EVENTS)),
        quarantined=quarantined_rows(connection, run),
        unvalidated=tuple(measure.unvalidated_keys(connection, schemas)),
        invalid=tuple(measure.invalid_indexes(connection, schemas)),
        caches=of_caches,
        rollback_facts=read_rollback_facts(connection, run, sets, run_tables),
        given=given,
    )


def _verified(connection: Connection, table: RunTable, proof: Verification | None) -> VerifiedTable:
    """By the verification that passed last: one that was given up, or is not judged yet, proves nothing."""
    generation = None if proof is None else proof.passed_generation
    done = [] if generation is None else job_reports.results(connection, table.spec, JobKind.VERIFY, generation)
    sides = add_up([job.document for job in done])
    return VerifiedTable(
        name=table.spec.full_name,
        rebuilt=table.spec.method == "rebuild",
        done=table.state in (SWAPPED if table.spec.method == "rebuild" else (TableState.DONE,)),
        state=str(table.state),
        sides=None if sides.stale else sides,
    )


def _members(run_tables: Sequence[RunTable]) -> dict[int, list[str]]:
    """Number of a set → its tables."""
    found: dict[int, list[str]] = {}
    for table in run_tables:
        found.setdefault(table.set_no, []).append(table.spec.full_name)
    return found


def _hits(connection: Connection, run: Run, caches: CachesProgress) -> list[Hits]:
    found: list[Hits] = []
    asked = run.plan.steps.permission_cache
    counted = None if asked is None else measure.counted_lookups(connection, asked.table_schema)
    if counted is not None:
        found.append(Hits(name="permission cache", hits=counted[0], misses=counted[1], counts=True))
    measured = [(cache.name, cache.after) for cache in caches.caches] + [("blocks of the swapped tables", caches.after)]
    for name, after in measured:
        if after:
            counts = after["of"] != "blocks"
            found.append(Hits(name=name, hits=after["hits"], misses=after["misses"], counts=counts))
    return found
