"""Gates in the ledger: what was said of them, how they stand, and the barrier that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from psycopg import errors
from psycopg.types.json import Jsonb
from sqlalchemy import ARRAY, Boolean, Text, all_, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert

from replank.errors import WrongUse
from replank.plan.operation.gates_plan import GatesPlan
from replank.values.states import GateState
from sql.ledger.schema.fact_tables import GATE, GATE_BARRIER
from sql.ledger.schema.run_tables import RUN
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, given


@dataclass(frozen=True, kw_only=True)
class Gate:
    """`by` and `at`: the operator who let it pass, and when; `remedy`: what would let an open one pass."""

    name: str
    state: GateState
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
class Barrier:
    """The barrier before a run's data migration. `gates` are their states then, as `Gate.to_json` gives them."""

    passed_at: datetime | None
    gates: Sequence[Mapping[str, Any]]


_G, _B = GATE.c, GATE_BARRIER.c
_SAID = ("state", "at", "reason", "remedy", "evidence")
_NOW = insert(GATE).values(
    actor=given("by"), **{name: given(name) for name in ("plan_digest", "gate", "position", *_SAID)}
)
_KEEP_GATE = Command(
    _NOW.on_conflict_do_update(
        index_elements=["plan_digest", "gate"],
        set_={
            **{name: _NOW.excluded[name] for name in ("position", "actor", *_SAID)},
            "looked_at": func.clock_timestamp(),
        },
    )
)
_FORGET_OTHERS = Command(
    delete(GATE).where(_G.plan_digest == given("plan_digest"), _G.gate != all_(given("gates", ARRAY(Text))))
)
_GATES = Query(
    select(_G.gate.label("name"), _G.actor.label("by"), *(_G[name] for name in _SAID))
    .where(_G.plan_digest == given("plan_digest"))
    .order_by(_G.position),
    Gate,
)
_BARRIER = Query(select(_B.passed_at, _B.gates).where(_B.run_id == given("run_id")), Barrier)
_STATE = insert(GATE_BARRIER).values(
    run_id=given("run_id"), passed_at=case((given("passed", Boolean), func.clock_timestamp())), gates=given("gates")
)
_SET_BARRIER = Command(
    _STATE.on_conflict_do_update(
        index_elements=["run_id"], set_={name: _STATE.excluded[name] for name in ("passed_at", "gates")}
    )
)
_SET_GATES = Command(
    update(RUN)
    .where(RUN.c.run_id == given("run_id"))
    .values(plan=RUN.c.plan.concat(func.jsonb_build_object("gates", given("gates", JSONB))))
)
_SERVER_NOW = Query(select(func.clock_timestamp()), datetime)


def keep_gates(connection: Connection, plan_digest: str, gates: Sequence[Gate]) -> None:
    """How all gates of a plan stand now. Those that it does not ask for any more are forgotten."""
    with connection.transaction():
        _FORGET_OTHERS(connection, plan_digest=plan_digest, gates=[gate.name for gate in gates])
        for position, gate in enumerate(gates):
            _KEEP_GATE(
                connection,
                plan_digest=plan_digest,
                gate=gate.name,
                position=position,
                state=gate.state,
                by=gate.by,
                at=gate.at,
                reason=gate.reason,
                remedy=gate.remedy,
                evidence=Jsonb(dict(gate.evidence)),
            )


def read_gates(connection: Connection, plan_digest: str) -> list[Gate]:
    """Their states when they were checked last."""
    return _GATES.all(connection, plan_digest=plan_digest)


def read_barrier(connection: Connection, run_id: int) -> Barrier | None:
    """None where the run has not come to it."""
    return _BARRIER.first(connection, run_id=run_id)


def waits_at_barrier(connection: Connection, run_id: int) -> bool:
    """Whether the run has come to it, and was not let past."""
    barrier = read_barrier(connection, run_id)
    return barrier is not None and barrier.passed_at is None


def set_barrier(connection: Connection, run_id: int, *, passed: bool, gates: Sequence[Gate]) -> None:
    """It opens, or says why not."""
    _SET_BARRIER(connection, run_id=run_id, passed=passed, gates=Jsonb([gate.to_json() for gate in gates]))


def set_gates(connection: Connection, run_id: int, gates: GatesPlan | None) -> None:
    """A run continues with other gates: they are no part of what becomes of the database."""
    document = None if gates is None else gates.model_dump(mode="json", by_alias=True)
    _SET_GATES(connection, run_id=run_id, gates=Jsonb(document))


def server_now(connection: Connection) -> datetime:
    """By the server's clock, which every program that asks shares."""
    return _SERVER_NOW.only(connection)


def refuse_standby(connection: Connection) -> None:
    """Raises WrongUse where nothing can be written: gates are kept in the ledger."""
    try:
        connection.execute("SELECT pg_catalog.pg_current_wal_lsn()")
    except errors.ObjectNotInPrerequisiteState:
        raise WrongUse("This server is a standby. Gates are kept in the ledger: use the primary's URL.") from None
