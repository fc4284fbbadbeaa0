"""Measuring before a run writes anything, and again when its tables are swapped: queries, sizes, rights, audit log.

A measurement never stops a run: what cannot be measured is a sentence among its problems.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import psycopg

from producer.measurement.audit_log_probe import probe_tables
from replank.activity import doing
from replank.plan.operation.success_plan import SuccessPlan
from replank.plan.plan import Plan
from replank.plan.text.plan_words import split_name
from replank.values.measurement import AuditPart, AuditProbe, LostTexts, MeasuredQuery, Measurement
from replank.values.table_spec import TableSpec
from sql.catalogue.definition_hashes import read_definitions
from sql.ledger.runs import measurements
from sql.ledger.runs.runs import Run
from sql.measurement import measure as measures
from sql.measurement.measure import Once, read_only
from sql.session.connection import Connection, apply_settings

CATALOGUE_TIMEOUT_MS = 60_000

_T = TypeVar("_T")


class Interrupted(Exception):
    """The run has to do something else: nothing is kept of this measurement."""


def plan_schemas(plan: Plan) -> set[str]:
    """The schemas whose tables a plan is about: those that it names; `public` where it names none."""
    named = {table.table_schema for table in plan.tables}
    for asked in (plan.steps.uuid_fields, plan.steps.indexes, plan.steps.audit_log):
        named |= {split_name(name)[0] for name in (asked.tables if asked is not None else None) or ()}
    return named or {"public"}


def measure_before(connection: Connection, plan: Plan) -> Measurement:
    """Everything, before the first write of a run."""
    doing("measuring queries, sizes and rights before the run")
    measuring_now = _Measuring(connection, plan)
    return measuring_now.measure([*_named(plan.success), *measuring_now.frequent()])


def measure_after(
    connection: Connection, run: Run, specs: Sequence[TableSpec], go_on: Callable[[], bool] = lambda: True
) -> Measurement | None:
    """The same queries again, with the audit log's proof; None where `go_on` said no meanwhile.

    `specs` are the run's tables.
    """
    doing("measuring queries, sizes and rights after the swap")
    known = measurements.read_measurements(connection, run.run_id)
    before, last = known.get("before"), known.get("after")
    queries = _named(run.plan.success)
    if before is not None:
        queries += [
            MeasuredQuery(name=q.name, statement=q.statement, timed=False) for q in before.queries if not q.timed
        ]
    try:
        return _Measuring(connection, run.plan, go_on).measure(queries, specs, () if last is None else last.lost_texts)
    except Interrupted:
        return None


def _named(plan: SuccessPlan) -> list[MeasuredQuery]:
    return [MeasuredQuery(name=query.name, statement=query.sql, timed=True) for query in plan.queries]


class _Measuring:
    """One measurement on one connection."""

    def __init__(self, connection: Connection, plan: Plan, go_on: Callable[[], bool] = lambda: True) -> None:
        self._connection = connection
        self._plan = plan
        self._go_on = go_on
        self._problems: list[str] = []

    def measure(
        self,
        queries: Sequence[MeasuredQuery],
        specs: Sequence[TableSpec] | None = None,
        known: Sequence[LostTexts] = (),
    ) -> Measurement:
        """`specs` are the swapped tables of the run, `known` is what was counted while past tables were there."""
        taken_at, began = datetime.now(UTC), time.monotonic()
        schemas = plan_schemas(self._plan)
        found_tables = self._part("sizes", lambda: measures.read_tables(self._connection, schemas)) or []
        activity = self._part("counters", lambda: measures.read_activity(self._connection)) or {}
        security = self._part("rights", lambda: measures.read_security(self._connection)) or []
        measured = self._time([query for query in queries if query.timed])
        measured += [self._planned(query) for query in queries if not query.timed]
        definitions = {} if specs is not None else self._part("definitions", lambda: self._definitions(schemas)) or {}
        # Read before the probes: what is changed beside them is not what they proved.
        parts = None if specs is None else self._audit_parts()
        return Measurement(
            taken_at=taken_at,
            queries=tuple(measured),
            tables=tuple(found_tables),
            activity=activity,
            security=tuple(security),
            audit=None if specs is None else self._audit(),
            audit_parts=parts,
            definitions=definitions,
            lost_texts=tuple(self._lost_texts(specs or (), known)),
            problems=tuple(self._problems),
            seconds=round(time.monotonic() - began, 3),
        )

    def frequent(self) -> list[MeasuredQuery]:
        """The statements that the server knows to take most time, as many as the plan asks for."""
        most = self._plan.success.statements
        found = self._part("statements", lambda: measures.frequent_statements(self._connection, most)) if most else []
        if found is None and not self._problems:
            self._problems.append("statements: the extension pg_stat_statements is not installed in this database")
        return [MeasuredQuery(name=name, statement=text, timed=False) for name, text in found or ()]

    def _part(self, what: str, read: Callable[[], _T], *, timeout_ms: int = CATALOGUE_TIMEOUT_MS) -> _T | None:
        self._check_still_open()
        try:
            with read_only(self._connection, timeout_ms=timeout_ms, lock_timeout_ms=self._lock_timeout_ms):
                return read()
        except psycopg.Error as error:
            if self._connection.closed:
                raise
            self._problems.append(f"{what}: {measures.error_text(error)}")
            return None

    @property
    def _lock_timeout_ms(self) -> int:
        return self._plan.options.lock_timeout_ms

    def _check_still_open(self) -> None:
        if not self._go_on():
            raise Interrupted

    def _time(self, queries: Sequence[MeasuredQuery]) -> list[MeasuredQuery]:
        """Round by round, so that whatever else the server does meets all queries alike. The first round warms up."""
        times: dict[str, list[Once]] = {query.name: [] for query in queries}
        problems: dict[str, str] = {}
        for _ in range(self._plan.success.repeat + 1):
            for query in queries:
                self._check_still_open()
                if query.name in problems:
                    continue
                found = self._attempt(partial(measures.time_once, self._connection, query.statement))
                if isinstance(found, str):
                    problems[query.name] = found
                else:
                    times[query.name].append(found)
        return [_summed(query, times[query.name][1:], problems.get(query.name, "")) for query in queries]

    def _planned(self, query: MeasuredQuery) -> MeasuredQuery:
        self._check_still_open()
        found = self._attempt(lambda: measures.generic_plan(self._connection, query.statement))
        if isinstance(found, str):
            measures.forget_prepared(self._connection)
            return MeasuredQuery(name=query.name, statement=query.statement, timed=False, problem=found)
        return MeasuredQuery(name=query.name, statement=query.statement, timed=False, plan=found)

    def _attempt(self, ask: Callable[[], _T]) -> _T | str:
        timeout_ms = self._plan.success.query_timeout_ms
        try:
            with read_only(self._connection, timeout_ms=timeout_ms, lock_timeout_ms=timeout_ms):
                return ask()
        except psycopg.Error as error:
            if self._connection.closed:
                raise
            return measures.error_text(error)

    def _definitions(self, schemas: set[str]) -> dict[str, str]:
        # How the server writes names in a definition depends on it.
        apply_settings(self._connection, {"search_path": "pg_catalog"}, local=True)
        return read_definitions(self._connection, schemas)

    def _audit_parts(self) -> tuple[AuditPart, ...] | None:
        asked = self._plan.steps.audit_log
        if asked is None or not self._plan.success.probe_audit:
            return None
        return self._part("audit log", lambda: measures.audit_parts(self._connection, asked.table_schema))

    def _audit(self) -> tuple[AuditProbe, ...] | None:
        asked = self._plan.steps.audit_log
        if asked is None or not self._plan.success.probe_audit:
            return None
        self._check_still_open()
        return tuple(
            probe_tables(
                self._connection,
                self._plan.steps,
                schemas=plan_schemas(self._plan),
                lock_timeout_ms=self._lock_timeout_ms,
                go_on=self._check_still_open,
            )
        )

    def _lost_texts(self, specs: Iterable[TableSpec], known: Sequence[LostTexts]) -> list[LostTexts]:
        found: list[LostTexts] = []
        counted = {(lost.table, lost.column): lost.values for lost in known}
        for spec in specs:
            for column in (column for column in spec.columns if column.on_invalid == "null"):
                count = self._part(
                    f"texts of {spec.full_name}.{column.name} that became NULL",
                    partial(measures.count_lost_texts, self._connection, spec, column),
                    timeout_ms=0,
                )
                if count is None:
                    count = counted.get((spec.full_name, column.name))
                found.append(LostTexts(table=spec.full_name, column=column.name, values=count))
        return found


def _summed(query: MeasuredQuery, found: Sequence[Once], problem: str) -> MeasuredQuery:
    last = found[-1] if found else None
    return MeasuredQuery(
        name=query.name,
        statement=query.statement,
        timed=True,
        times_ms=tuple(round(once.ms, 4) for once in found),
        rows=None if last is None else last.rows,
        blocks=None if last is None else last.blocks,
        plan=None if last is None else last.plan,
        problem=problem,
    )
