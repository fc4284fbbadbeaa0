"""What a plan asks to be measured: queries before and after, and the figures that are called a success."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from replank.plan.text.plan_words import Name, Strict

_READS = re.compile(r"^\s*(\(\s*)*(select|with|table|values)\b", re.IGNORECASE)


def _reading(statement: str) -> str:
    """One statement that reads. What it does beyond that, a read-only transaction refuses."""
    if not _READS.match(statement):
        raise ValueError("a query begins with SELECT, WITH, TABLE or VALUES")
    return statement.strip().rstrip(";").rstrip()


Share = Annotated[float, Field(ge=0, lt=1)]


class MeasuredQueryPlan(Strict):
    """A query that is timed before the run and after it. It has to mean the same with text and with uuid columns."""

    name: Name
    sql: Annotated[str, AfterValidator(_reading)]


class SuccessPlan(Strict):
    """What `replank report` measures. Shares are between 0 and 1.

    `statements` of pg_stat_statements, those with the greatest total time, have their plans compared beside the named
    queries; they cannot be timed, because their parameters are not known. `models` is how many tables there should be.
    """

    queries: tuple[MeasuredQueryPlan, ...] = ()
    statements: int = Field(default=0, ge=0, le=1_000)
    repeat: int = Field(default=7, ge=3, le=1_000)
    query_timeout_ms: int = Field(default=10_000, ge=10, le=3_600_000)
    faster: Share = 0.20
    hit_rate: Share = 0.90
    models: int | None = Field(default=None, ge=1)
    probe_audit: bool = False
    """Whether the audit log is proved by writes into the live tables, which are rolled back."""

    @field_validator("queries")
    @classmethod
    def _no_name_twice(cls, queries: tuple[MeasuredQueryPlan, ...]) -> tuple[MeasuredQueryPlan, ...]:
        names = [query.name for query in queries]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"query listed twice: {', '.join(twice)}")
        return queries
