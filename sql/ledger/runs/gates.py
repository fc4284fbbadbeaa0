"""Gates in the ledger: what was said of them, how they stand, and the barrier that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from psycopg import errors
from psycopg.types.json import Jsonb

from replank.errors import WrongUse
from replank.plan.operation.gates_plan import GatesPlan
from sql.session.connection import Connection, row, rows, value
from sql.session.named_queries import query

State = Literal["open", "passed", "overridden"]
Kind = Literal["attested", "overridden", "backup", "verified", "rehearsed"]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """`by` and `at`: the operator who let it pass, and when; `remedy`: what would let an open one pass."""

    name: str
    state: State
    by: str = ""
    at: datetime | None = None
    reason: str = ""
    remedy: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "at": None if self.at is None else self.at.isoformat()}


@dataclass(frozen=True, kw_only=True)
class Word:
    """What was said of a gate, by whom, and how long ago by the server's clock."""

    gate: str
    kind: Kind
    by: str
    at: datetime
    words: str
    evidence: Mapping[str, Any]
    age: timedelta = timedelta()


@dataclass(frozen=True, kw_only=True)
class Barrier:
    """The barrier before a run's data migration. `gates` are their states then, as `Gate.to_json` gives them."""

    passed_at: datetime | None
    gates: Sequence[Mapping[str, Any]]


def add_record(
    connection: Connection,
    plan_digest: str,
    gate: str,
    kind: Kind,
    *,
    by: str,
    words: str = "",
    evidence: Mapping[str, Any] | None = None,
) -> Word:
    """Write down what was said. The ledger must be there."""
    said = {"plan_digest": plan_digest, "gate": gate, "kind": kind, "actor": by, "words": words}
    found = row(connection, query("gates.add_record"), {**said, "evidence": Jsonb(dict(evidence or {}))})
    assert found is not None
    return _word(found)


def _word(found: Mapping[str, Any]) -> Word:
    names = ("gate", "kind", "at", "words", "evidence")
    return Word(by=found["actor"], age=found.get("age", timedelta()), **{name: found[name] for name in names})


def attestations(connection: Connection, plan_digest: str) -> dict[tuple[str, Kind], Word]:
    """The newest attestation and the newest override of each gate that still count."""
    found = rows(connection, query("gates.attestations"), {"plan_digest": plan_digest})
    return {(each["gate"], each["kind"]): _word(each) for each in found}


def newest_record(connection: Connection, kind: Kind, *, plan_digest: str | None) -> Word | None:
    """The newest of a kind; of any plan where the digest is None."""
    found = row(connection, query("gates.newest_record"), {"kind": kind, "plan_digest": plan_digest})
    return None if found is None else _word(found)


def rehearsal_before(connection: Connection, plan_digest: str, run_id: int) -> Word | None:
    """The newest good rehearsal of a plan, before the run's data migration began."""
    found = row(connection, query("gates.rehearsal_before"), {"plan_digest": plan_digest, "run_id": run_id})
    return None if found is None else _word(found)


def keep_gates(connection: Connection, plan_digest: str, gates: Sequence[Gate]) -> None:
    """How all gates of a plan stand now."""
    with connection.transaction():
        names = {"plan_digest": plan_digest, "gates": [gate.name for gate in gates]}
        connection.execute(query("gates.forget_gates"), names)
        for position, gate in enumerate(gates):
            values = {"plan_digest": plan_digest, "gate": gate.name, "position": position, "state": gate.state}
            values |= {"actor": gate.by, "at": gate.at, "reason": gate.reason, "remedy": gate.remedy}
            connection.execute(query("gates.keep_gate"), {**values, "evidence": Jsonb(dict(gate.evidence))})


def read_gates(connection: Connection, plan_digest: str) -> list[Gate]:
    """Their states when they were checked last."""
    names = ("state", "at", "reason", "remedy", "evidence")
    return [
        Gate(name=found["gate"], by=found["actor"], **{name: found[name] for name in names})
        for found in rows(connection, query("gates.gates"), {"plan_digest": plan_digest})
    ]


def read_barrier(connection: Connection, run_id: int) -> Barrier | None:
    """None where the run has not come to it."""
    found = row(connection, query("gates.barrier"), {"run_id": run_id})
    return None if found is None else Barrier(**found)


def waits_at_barrier(connection: Connection, run_id: int) -> bool:
    """Whether the run has come to it, and was not let past."""
    barrier = read_barrier(connection, run_id)
    return barrier is not None and barrier.passed_at is None


def set_barrier(connection: Connection, run_id: int, *, passed: bool, gates: Sequence[Gate]) -> None:
    documents = Jsonb([gate.to_json() for gate in gates])
    connection.execute(query("gates.set_barrier"), {"run_id": run_id, "passed": passed, "gates": documents})


def set_gates(connection: Connection, run_id: int, gates: GatesPlan | None) -> None:
    """A run continues with other gates: they are no part of what becomes of the database."""
    document = None if gates is None else gates.model_dump(mode="json", by_alias=True)
    connection.execute(query("gates.set_gates"), {"run_id": run_id, "gates": Jsonb(document)})


def server_now(connection: Connection) -> datetime:
    found = value(connection, query("gates.now"))
    assert isinstance(found, datetime)
    return found


def measure(connection: Connection, run_id: int) -> None:
    """Note WAL and size of the database; the first time is the beginning."""
    connection.execute(query("gates.measure"), {"run_id": run_id})


def measured(connection: Connection, run_id: int) -> dict[str, Any]:
    """`wal_bytes`, `bytes_start`, `bytes_added` at the most, `seconds`; empty where nothing was measured."""
    return row(connection, query("gates.measured"), {"run_id": run_id}) or {}


def step_seconds(connection: Connection, run_id: int) -> dict[str, float]:
    """Seconds of every step that has ended."""
    found = rows(connection, query("gates.steps"), {"run_id": run_id})
    return {each["step"]: each["seconds"] for each in found}


def phase_seconds(connection: Connection, run_id: int) -> dict[str, float]:
    """Seconds of every phase that has ended, e.g. of `3 data migration`."""
    found = rows(connection, query("gates.phases"), {"run_id": run_id})
    return {each["phase"]: each["seconds"] for each in found}


def refuse_standby(connection: Connection) -> None:
    """Raises WrongUse where nothing can be written: gates are kept in the ledger."""
    try:
        connection.execute("SELECT pg_catalog.pg_current_wal_lsn()")
    except errors.ObjectNotInPrerequisiteState:
        raise WrongUse("This server is a standby. Gates are kept in the ledger: use the primary's URL.") from None
