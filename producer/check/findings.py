"""What the check found, and what each of its parts works from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from producer.check.risks import Risk, risk_of
from producer.planning.already_done import Already
from producer.planning.resolution import PlanFile, Resolved, table_spec
from replank.plan.plan import TablePlan
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.catalogue.catalogue import ForeignKey, LiveTable, Server
from sql.checks.sampling import readable_tables
from sql.session.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to know before the run. `details` holds numbers and examples for programs."""

    code: str
    blocks: bool
    table: str | None
    column: str | None
    message: str
    hint: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def risk(self) -> Risk:
        return risk_of(self.code)

    @property
    def words(self) -> str:
        """For people: where, what, and on a line of its own what to do."""
        place = ".".join(part for part in (self.table, self.column) if part)
        return (f"{place}: " if place else "") + self.message + (f"\n    {self.hint}" if self.hint else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "risk": str(self.risk),
            "table": self.table,
            "column": self.column,
            "message": self.message,
            "hint": self.hint,
            "details": dict(self.details),
        }


def blocker(
    code: str, message: str, *, hint: str, table: str | None = None, column: str | None = None, **details: Any
) -> Finding:
    """The run must not begin before this is settled."""
    return Finding(code=code, blocks=True, table=table, column=column, message=message, hint=hint, details=details)


def warning(
    code: str, message: str, *, hint: str, table: str | None = None, column: str | None = None, **details: Any
) -> Finding:
    """The run may begin; an operator should have read this."""
    return Finding(code=code, blocks=False, table=table, column=column, message=message, hint=hint, details=details)


def by_risk(findings: Iterable[Finding]) -> list[Finding]:
    """Those that put most at risk first, otherwise as they were found."""
    order = list(Risk)
    return sorted(findings, key=lambda finding: order.index(finding.risk))


@dataclass(frozen=True, kw_only=True)
class Report:
    """All findings, first those that put most at risk, and how much was read for them."""

    blockers: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    rows: int
    tables: int
    hold_ms: float | None
    """How long the statements of the swap took in the trial; None where they were not all tried."""
    already: tuple[Already, ...] = ()
    """What of the plan is there already: the run does nothing about it."""
    nothing_to_do: bool = False
    """Whether that is all that the plan asks for."""

    @classmethod
    def of(
        cls,
        findings: Sequence[Finding],
        *,
        rows: int,
        tables: int,
        hold_ms: float | None,
        already: Sequence[Already] = (),
    ) -> Report:
        ordered = by_risk(findings)
        return cls(
            already=tuple(already),
            hold_ms=hold_ms,
            blockers=tuple(f for f in ordered if f.blocks),
            warnings=tuple(f for f in ordered if not f.blocks),
            rows=rows,
            tables=tables,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "blockers": [f.to_json() for f in self.blockers],
            "warnings": [f.to_json() for f in self.warnings],
            "rows_read": self.rows,
            "tables_read": self.tables,
            "already": [{"table": one.table, "column": one.column, "message": one.words} for one in self.already],
            "nothing_to_do": self.nothing_to_do,
            "forecast": {"hold_ms": None if self.hold_ms is None else round(self.hold_ms, 1)},
        }


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A planned table as it is and as it is to be. Without a key, `spec.key` is empty."""

    planned: TablePlan
    live: LiveTable
    spec: TableSpec

    @property
    def name(self) -> str:
        return self.live.full_name

    @property
    def converted(self) -> tuple[ColumnSpec, ...]:
        return tuple(column for column in self.spec.columns if column.converted)

    def becomes(self, column: str) -> str:
        """The type that a column has when the run is done."""
        return next(c.next_type for c in self.spec.columns if c.name == column)


@dataclass(frozen=True, kw_only=True)
class Audited:
    """What is audited: the plan's tables in their database."""

    file: PlanFile
    server: Server
    subjects: tuple[Subject, ...]
    foreign_keys: tuple[ForeignKey, ...]

    readable_oids: frozenset[int]

    @property
    def readable(self) -> tuple[Subject, ...]:
        """The tables whose rows we may read; for the others there is a `no_privilege`."""
        return tuple(s for s in self.subjects if s.live.oid in self.readable_oids)

    @property
    def relation_oids(self) -> list[int]:
        """The tables and their partitions."""
        return [relation.oid for subject in self.subjects for relation in subject.spec.relations]

    @property
    def oids(self) -> list[int]:
        return [subject.live.oid for subject in self.subjects]

    def converts(self, oid: int, column: str) -> bool:
        """Whether the plan changes this column's type."""
        return any(s.live.oid == oid and any(c.name == column for c in s.converted) for s in self.subjects)

    def names_anew(self, oid: int, column: str) -> bool:
        """Whether texts of this column that are no uuids become other ids."""
        return any(
            s.live.oid == oid and any(c.name == column and c.on_invalid == "name_based" for c in s.converted)
            for s in self.subjects
        )

    def has(self, oid: int) -> bool:
        return oid in self.oids


def audited(connection: Connection, file: PlanFile, server: Server, resolved: Resolved) -> Audited:
    """Give every table its spec; one that has no key gets one too, so that the other checks still run."""
    subjects = []
    for number, (planned, live) in enumerate(resolved.tables, start=1):
        stand_in = live if live.key else replace(live, key=(live.columns[0].name,))
        # Whether the plan says so or not: without its consent they are named once, and the trial goes on without them.
        spec = table_spec(
            connection, planned, stand_in, run_id=0, table_no=number, enums=resolved.enums, plain_patterns=True
        )
        subjects.append(Subject(planned=planned, live=live, spec=spec if live.key else replace(spec, key=())))
    return Audited(
        file=file,
        server=server,
        subjects=tuple(subjects),
        foreign_keys=resolved.foreign_keys,
        readable_oids=frozenset(readable_tables(connection, trusting=file.plan.options.trusts_functions)),
    )
