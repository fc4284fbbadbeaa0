"""Verifications in the ledger: what is proved of each table, since when, and what capture depended on at that time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from replank.values.states import JobState, sources
from replank.values.table_spec import TableSpec
from sql.rows.capture_continuity import CaptureFacts
from sql.session.connection import Connection, row, rows, value
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class Verification:
    """A table's latest verification, and the latest that passed. `now` is the server's clock at the reading."""

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


def read(connection: Connection, run_id: int) -> dict[int, Verification]:
    """By table number, of tables that were ever verified."""
    return {
        r["table_no"]: Verification(
            generation=r["generation"],
            capture_facts=frozenset(r["capture_facts"]),
            started_at=r["started_at"],
            passed_generation=r["passed_generation"],
            passed_capture_facts=frozenset(r["passed_capture_facts"] or ()),
            passed_at=r["passed_at"],
            doubt=r["doubt"],
            because=r["because"],
            now=r["now"],
        )
        for r in rows(connection, query("verifications.read"), {"run_id": run_id})
    }


def shown(connection: Connection, run_id: int) -> dict[int, Mapping[str, object]]:
    """By table number: `passed_at`, `rounds`, `because`, `doubt`, `under_way`."""
    return {r.pop("table_no"): r for r in rows(connection, query("verifications.shown"), {"run_id": run_id})}


def clock(connection: Connection) -> datetime:
    """The server's time, for the beginning of a verification."""
    found: datetime = value(connection, SQL("SELECT clock_timestamp()"))
    return found


def begin(
    connection: Connection, table: TableSpec, *, generation: int, capture_facts: CaptureFacts, started_at: datetime
) -> None:
    """`capture_facts` were read, and `started_at` taken, before the verification's snapshot."""
    named = {"generation": generation, "capture_facts": Jsonb(sorted(capture_facts)), "started_at": started_at}
    connection.execute(query("verifications.begin"), {**_id(table), **named})


def passed(connection: Connection, table: TableSpec, *, generation: int, rows_live: int) -> bool:
    """Both sides are equal. False where that verification is not the latest one."""
    named = {**_id(table), "generation": generation, "rows": rows_live}
    return row(connection, query("verifications.passed"), named) is not None


def give_up(connection: Connection, table: TableSpec, generation: int) -> None:
    """The verification is not judged: what has not begun of it ends here, and the one before keeps counting."""
    named = {**_id(table), "generation": generation, "sources": sources(JobState.CANCELLED)}
    connection.execute(query("verifications.recall"), named)
    connection.execute(query("verifications.given_up"), _id(table))


def void(connection: Connection, table: TableSpec, because: str) -> None:
    """Nothing counts as proved until the next one has passed; repairs are counted from here."""
    connection.execute(query("verifications.void"), {**_id(table), "because": because})
    connection.execute(query("verifications.reset_rounds"), _id(table))


def doubt(connection: Connection, table: TableSpec, words: str) -> bool:
    """The set is held until a later verification finds nothing. False where none has begun: then one comes anyway."""
    return row(connection, query("verifications.doubt"), {**_id(table), "doubt": words}) is not None


def trust(connection: Connection, table: TableSpec) -> bool:
    """Take a doubt back. False where there was none."""
    return row(connection, query("verifications.trust"), _id(table)) is not None


def unfinished(connection: Connection, table: TableSpec, generation: int) -> int:
    """Verify jobs of a generation that are not done; those that were split count by their halves."""
    return int(value(connection, query("verifications.unfinished"), {**_id(table), "generation": generation}))


def still_proved(connection: Connection, run_id: int, set_no: int, proofs: Mapping[int, int]) -> bool:
    """Under the lock: whether the proofs (table number → generation) of all tables of a set still count."""
    named = {"run_id": run_id, "set_no": set_no, "numbers": list(proofs), "generations": list(proofs.values())}
    found: Sequence[Mapping[str, int]] = rows(connection, query("verifications.proved"), named, prepare=True)
    return found[0]["tables"] == len(proofs)


def _id(table: TableSpec) -> dict[str, int]:
    return {"run_id": table.run_id, "table_no": table.table_no}
