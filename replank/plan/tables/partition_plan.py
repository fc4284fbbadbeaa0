"""How a plan says that a table is to be partitioned: by what, where its partitions end, what lies outside."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from replank.plan.text.plan_words import Name

Every = Literal["day", "week", "month", "year"]

LONGEST_SUFFIX_BYTES = 40

_SPAN = re.compile(r"^([1-9][0-9]{0,3}) (day|week|month|year)s?$")

_OF: dict[str, set[str]] = {
    "range": {"every", "bounds", "timezone", "uuidv7", "ahead", "outside", "retention", "expired"},
    "hash": {"count"},
    "list": {"values", "outside"},
}
"""Which keys go with which way of partitioning, beside `column` and `consent`."""


def _as_text(given: Any) -> Any:
    """TOML has dates and numbers of its own; PostgreSQL reads them all from text."""
    if isinstance(given, date):  # datetime is one too
        return given.isoformat()
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return str(given)
    return given


Value = Annotated[str, BeforeValidator(_as_text)]


class PartitionPlan(BaseModel):
    """The partitions of the new table. Times are cut at the beginning of a day, week, month or year of `timezone`.

    `outside` says what becomes of rows that no partition is for: a DEFAULT partition, or `check` refuses.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["range", "hash", "list", "none"]
    column: Name | None = None
    every: Every | None = None
    bounds: tuple[Value, ...] = ()
    timezone: str | None = None
    uuidv7: bool = False
    count: int | None = Field(default=None, ge=1, le=1_000)
    values: dict[str, tuple[Value, ...]] = Field(default_factory=dict)
    ahead: int = Field(default=3, ge=0, le=1_000)
    outside: Literal["default", "refuse"] = "default"
    consent: tuple[Literal["uniqueness", "foreign_keys", "nulls"], ...] = ()
    retention: str | None = None
    expired: Literal["detach", "drop"] | None = None

    @property
    def keeps_rest(self) -> bool:
        """Whether there is a DEFAULT partition. By hash there is nothing outside."""
        return self.by in ("range", "list") and self.outside == "default"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone or "UTC")

    @property
    def kept(self) -> tuple[int, Every] | None:
        """How long partitions are kept, e.g. `(24, "month")`; None for ever."""
        if self.retention is None:
            return None
        found = _SPAN.match(self.retention)
        assert found is not None
        unit: Every = found.group(2)  # type: ignore[assignment]
        return int(found.group(1)), unit

    @property
    def _said(self) -> set[str]:
        """The keys that say something else than they would by themselves: a ledger's plan says all of them."""
        fields = type(self).model_fields.items()
        return {key for key, field in fields if getattr(self, key) != field.get_default(call_default_factory=True)}

    @field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(f"{name!r} is not a time zone; write it as Europe/Berlin or UTC") from None
        return name

    @field_validator("retention")
    @classmethod
    def _retention_is_a_span(cls, span: str | None) -> str | None:
        if span is not None and not _SPAN.match(span):
            raise ValueError("write it as '24 months' (days, weeks, months or years)")
        return span

    @model_validator(mode="after")
    def _fits_together(self) -> PartitionPlan:
        allowed = _OF.get(self.by, set()) | ({"by"} if self.by == "none" else {"by", "column", "consent"})
        strange = sorted(self._said - allowed)
        if strange:
            raise ValueError(f"{', '.join(strange)} cannot be combined with by = {self.by!r}")
        if self.by != "none" and self.column is None:
            raise ValueError(f"by = {self.by!r} needs a column")
        match self.by:
            case "range":
                self._range_fits()
            case "hash" if self.count is None:
                raise ValueError("by = 'hash' needs count, the number of partitions")
            case "list":
                self._list_fits()
        return self

    def _range_fits(self) -> None:
        if (self.every is None) == (not self.bounds):
            raise ValueError("by = 'range' needs either every or bounds")
        if self.bounds and len(self.bounds) < 2:
            raise ValueError("bounds needs at least two values: each partition is between two of them")
        if any(a == b for a, b in pairwise(self.bounds)):
            raise ValueError("bounds has one bound twice")
        if self.bounds and (self.uuidv7 or {"ahead", "retention", "expired"} & self._said):
            raise ValueError("uuidv7, ahead, retention and expired need every, not bounds")
        if self.uuidv7 and self.timezone is None:
            raise ValueError("timezone is missing: the time zone in which the days of the uuids' times begin")
        if (self.retention is None) != (self.expired is None):
            raise ValueError("set both retention and expired, or neither")

    def _list_fits(self) -> None:
        if not self.values or not all(name and values for name, values in self.values.items()):
            raise ValueError("by = 'list' needs values: the values of each partition, by its name")
        long = [name for name in self.values if len(name.encode()) > LONGEST_SUFFIX_BYTES]
        if long:
            raise ValueError(f"too long for the suffix of a partition's name: {', '.join(long)}")
        if "default" in self.values and self.keeps_rest:
            raise ValueError("default is the name of the partition for all other values; give this one another name")
        named = [value for values in self.values.values() for value in values]
        twice = sorted({value for value in named if named.count(value) > 1})
        if twice:
            raise ValueError(f"a value can be in only one partition: {', '.join(twice)}")
