"""What holds a run back: pauses and throttles of the whole run, a phase, a table or a cache."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from replank.wording import counted
from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query

"""All jobs belong to it: those of tables and of caches."""

FREED_BY = "replank resume"

Kind = Literal["pause", "throttle"]
Cause = Literal["operator", "panic", "breaker"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a restraint holds: nothing given means the whole run, and at most one is given."""

    phase: int | None = None
    table_no: int | None = None
    cache_no: int | None = None


@dataclass(frozen=True, kw_only=True)
class Restraint:
    """One pause (`max_jobs` 0) or throttle (at most `max_jobs` at once), by whom, since when and why."""

    kind: Kind
    place: Place
    name: str | None
    """The table's or cache's, where it is one's."""
    max_jobs: int
    cause: Cause
    by: str
    reason: str
    since: datetime

    @property
    def scope(self) -> str:
        """For people: `the whole run`, `phase 3`, `public.orders`."""
        if self.name is not None:
            return self.name
        return "the whole run" if self.place.phase is None else f"phase {self.place.phase}"

    @property
    def freed_by(self) -> str:
        """The command that takes it away."""
        option = "" if self.name is None and self.place.phase is None else f" --table {self.name}"
        if self.place.phase is not None:
            option = f" --phase {self.place.phase}"
        return f"{FREED_BY}{option}" if self.kind == "pause" else f"replank throttle --reset{option}"

    @property
    def words(self) -> str:
        """E.g. `public.orders is paused by anna since 2026-01-02 03:04:05 UTC: too slow`."""
        what = "paused" if self.kind == "pause" else f"throttled to {counted(self.max_jobs, 'job')} at once"
        told = self.reason or ("panic" if self.cause == "panic" else "")
        why = f": {told}" if told else ""
        return f"{self.scope} is {what} by {self.by} since {self.since:%Y-%m-%d %H:%M:%S} UTC{why}"

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "scope": self.scope,
            "phase": self.place.phase,
            "table": self.name,
            "max_jobs": self.max_jobs,
            "cause": self.cause,
            "by": self.by,
            "since": self.since.isoformat(),
            "reason": self.reason,
            "freed_by": self.freed_by,
        }


def _named(run_id: int, place: Place) -> dict[str, Any]:
    return {"run_id": run_id, "phase": place.phase, "table_no": place.table_no, "cache_no": place.cache_no}


def put(
    connection: Connection,
    run_id: int,
    place: Place,
    kind: Kind,
    *,
    max_jobs: int = 0,
    cause: Cause = "operator",
    by: str,
    reason: str = "",
) -> datetime:
    """Put it in force, in the place of one of its kind that is there. Returns since when it holds."""
    words = {"kind": kind, "max_jobs": max_jobs, "cause": cause, "actor": by, "reason": reason}
    found = row(connection, query("restraints.put"), {**_named(run_id, place), **words})
    assert found is not None
    since: datetime = found["since"]
    return since


def lift(connection: Connection, run_id: int, place: Place, kind: Kind) -> bool:
    """Take it away. False where there was none."""
    return bool(rows(connection, query("restraints.lift"), {**_named(run_id, place), "kind": kind}))


def lift_all(connection: Connection, run_id: int) -> None:
    connection.execute(query("restraints.lift_all"), {"run_id": run_id})


def lift_breaker(connection: Connection, run_id: int, table_nos: Collection[int]) -> list[int]:
    """The tables among these that a breaker had paused continue. Returns them."""
    found = rows(connection, query("restraints.lift_breaker"), {"run_id": run_id, "table_nos": list(table_nos)})
    return [r["table_no"] for r in found]


def in_force(connection: Connection, run_id: int) -> list[Restraint]:
    """Everything that holds the run back, the widest first."""
    return [
        Restraint(
            kind=r["kind"],
            place=Place(phase=r["phase"], table_no=r["table_no"], cache_no=r["cache_no"]),
            name=r["name"],
            max_jobs=r["max_jobs"],
            cause=r["cause"],
            by=r["actor"],
            reason=r["reason"],
            since=r["since"],
        )
        for r in rows(connection, query("restraints.in_force"), {"run_id": run_id})
    ]


def pause_of(
    present: Sequence[Restraint], *, phase: int, table_no: int | None = None, cache_no: int | None = None
) -> Restraint | None:
    """The pause that keeps something of a phase, or of one of its tables or caches, from continuing."""
    covering = (
        r
        for r in present
        if r.kind == "pause"
        and r.place.phase in (None, phase)
        and r.place.table_no in (None, table_no)
        and r.place.cache_no in (None, cache_no)
    )
    return next(covering, None)


def busy_tables(connection: Connection, run_id: int) -> set[int]:
    """The tables that workers work on now."""
    return {r["table_no"] for r in rows(connection, query("restraints.leased_tables"), {"run_id": run_id})}


def busy_caches(connection: Connection, run_id: int) -> set[int]:
    """The caches that workers work on now."""
    return {r["cache_no"] for r in rows(connection, query("restraints.leased_caches"), {"run_id": run_id})}
