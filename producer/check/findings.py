"""What the check found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from producer.check.risks import Risk, risk_of
from producer.planning.already_done import Already


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
    """The run must not start before this is resolved."""
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
