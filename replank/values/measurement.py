"""Measurements of a database at one moment: how fast, how large, what it looks like, who may do what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from statistics import median
from typing import Any, Literal

Moment = Literal["before", "after"]


@dataclass(frozen=True, kw_only=True)
class MeasuredQuery:
    """A query at one moment. `problem` says why there is no figure; it is empty where there is one.

    `times_ms` are planning and execution as the server counts them, one for each repetition; none where only the plan
    is known (`timed` is false). `rows` and `blocks` (read or found in memory) are those of the last repetition.
    """

    name: str
    statement: str
    timed: bool
    times_ms: tuple[float, ...] = ()
    rows: int | None = None
    blocks: int | None = None
    plan: Mapping[str, Any] | None = None
    problem: str = ""

    @property
    def median_ms(self) -> float | None:
        return median(self.times_ms) if self.times_ms and not self.problem else None


@dataclass(frozen=True, kw_only=True)
class MeasuredColumn:
    name: str
    type: str
    not_null: bool
    default: str | None
    comment: str | None


@dataclass(frozen=True, kw_only=True)
class MeasuredTable:
    """A table with all its partitions. Sizes are bytes; `table_bytes` holds TOAST and maps, `rows` is an estimate.

    `uuid_key` are native uuid columns that are NOT NULL and tell every row apart; empty where there are none.
    `joins` is true for tables without a model, which only join two others.
    """

    schema: str
    name: str
    rows: int
    table_bytes: int
    index_bytes: int
    partitions: int
    uuid_key: tuple[str, ...]
    joins: bool
    comment: str | None
    key: tuple[str, ...] = ()
    """The columns of the primary key; empty where there is none."""
    columns: tuple[MeasuredColumn, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, kw_only=True, order=True)
class SecurityFact:
    """Something about roles, owners and rights. `attention`: why the operator should check it, or empty."""

    what: str
    name: str
    detail: str
    attention: str = ""


@dataclass(frozen=True, kw_only=True)
class AuditProbe:
    """What the audit log saw of one table's probe writes. `missing` says what is not proved, and why."""

    table: str
    seen: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def proved(self) -> bool:
        return bool(self.seen) and not self.missing


@dataclass(frozen=True, kw_only=True)
class AuditPart:
    """Something that the audit log's proof stands on, with a hash of its definition.

    `table` is the one whose trigger it is, empty for what works for all. `on_log` is true for what acts on the log.
    """

    name: str
    table: str
    on_log: bool
    hash: str


def changed_parts(before: Sequence[AuditPart], now: Sequence[AuditPart]) -> list[tuple[str, str]]:
    """Table (empty: all) and words of each part that is not as it was. A new trigger of a table only captures more."""
    old, new = {part.name: part for part in before}, {part.name: part for part in now}
    changed = [(part.table, f"{name} does not exist any more") for name, part in old.items() if name not in new]
    changed += [(p.table, f"{name} was changed") for name, p in old.items() if name in new and new[name] != p]
    changed += [(p.table, f"{name} is new") for name, p in new.items() if p.on_log and name not in old]
    return sorted(changed)


@dataclass(frozen=True, kw_only=True)
class LostTexts:
    """Texts that became NULL because the plan says so. `values` is None where that could not be counted."""

    table: str
    column: str
    values: int | None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Everything that was measured at one moment. `problems` are the parts that could not be."""

    taken_at: datetime
    seconds: float
    queries: tuple[MeasuredQuery, ...] = ()
    tables: tuple[MeasuredTable, ...] = ()
    activity: Mapping[str, Any] = field(default_factory=dict)
    security: tuple[SecurityFact, ...] = ()
    audit: tuple[AuditProbe, ...] | None = None
    audit_parts: tuple[AuditPart, ...] | None = None
    definitions: Mapping[str, str] = field(default_factory=dict)
    lost_texts: tuple[LostTexts, ...] = ()
    problems: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "taken_at": self.taken_at.isoformat()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Measurement:
        return cls(
            taken_at=datetime.fromisoformat(document["taken_at"]),
            seconds=document["seconds"],
            queries=tuple(MeasuredQuery(**{**q, "times_ms": tuple(q["times_ms"])}) for q in document["queries"]),
            tables=tuple(_table(t) for t in document["tables"]),
            activity=document["activity"],
            security=tuple(SecurityFact(**fact) for fact in document["security"]),
            audit=None if document["audit"] is None else tuple(_probe(p) for p in document["audit"]),
            audit_parts=None
            if document["audit_parts"] is None
            else tuple(AuditPart(**part) for part in document["audit_parts"]),
            definitions=document["definitions"],
            lost_texts=tuple(LostTexts(**lost) for lost in document["lost_texts"]),
            problems=tuple(document["problems"]),
        )


def _table(document: Mapping[str, Any]) -> MeasuredTable:
    columns = tuple(MeasuredColumn(**column) for column in document["columns"])
    keys = {"uuid_key": tuple(document["uuid_key"]), "key": tuple(document.get("key", ()))}
    return MeasuredTable(**{**document, **keys, "columns": columns})


def _probe(document: Mapping[str, Any]) -> AuditProbe:
    return AuditProbe(table=document["table"], seen=tuple(document["seen"]), missing=tuple(document["missing"]))
