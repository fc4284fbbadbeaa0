"""What was said of a plan's gates: attestations and overrides of operators, and Replank's own records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Boolean, Interval, exists, func, insert, literal_column, select
from sqlalchemy.dialects.postgresql import distinct_on

from replank.values.states import GateRecordKind, RunState
from sql.ledger.schema.fact_tables import GATE_BARRIER, GATE_RECORD
from sql.ledger.schema.run_tables import RUN
from sql.session.connection import Connection
from sql.session.typed_queries import Query, given


@dataclass(frozen=True, kw_only=True)
class Word:
    """What was said of a gate, by whom, and how long ago by the server's clock."""

    gate: str
    kind: GateRecordKind
    by: str
    at: datetime
    words: str
    evidence: Mapping[str, Any]
    age: timedelta


_W = GATE_RECORD.c
_WORD = (_W.gate, _W.kind, _W.actor.label("by"), _W.at, _W.words, _W.evidence)
_SAID = select(*_WORD, (func.clock_timestamp() - _W.at).label("age"))

_ADD = Query(
    insert(GATE_RECORD)
    .values(actor=given("by"), **{name: given(name) for name in ("plan_digest", "gate", "kind", "words", "evidence")})
    .returning(*_WORD, literal_column("interval '0'", Interval).label("age")),
    Word,
)
_ROLLED_BACK_SINCE = exists().where(
    RUN.c.plan_digest == _W.plan_digest, RUN.c.state == RunState.ROLLED_BACK, RUN.c.finished_at > _W.at
)
_ATTESTATIONS = Query(
    _SAID.ext(distinct_on(_W.gate, _W.kind))
    .where(_W.plan_digest == given("plan_digest"), _W.kind.in_(("attested", "overridden")), ~_ROLLED_BACK_SINCE)
    .order_by(_W.gate, _W.kind, _W.word_id.desc()),
    Word,
)
_NEWEST = Query(
    _SAID.where(_W.kind == given("kind"), _W.plan_digest == func.coalesce(given("plan_digest"), _W.plan_digest))
    .order_by(_W.word_id.desc())
    .limit(1),
    Word,
)
_BARRIER_PASSED = (
    select(func.max(GATE_BARRIER.c.passed_at)).where(GATE_BARRIER.c.run_id == given("run_id")).scalar_subquery()
)
_REHEARSAL_BEFORE = Query(
    _SAID.where(
        _W.kind == "rehearsed",
        _W.plan_digest == given("plan_digest"),
        _W.evidence["passed"].astext.cast(Boolean),
        _W.at < func.coalesce(_BARRIER_PASSED, func.clock_timestamp()),
    )
    .order_by(_W.word_id.desc())
    .limit(1),
    Word,
)


def add_record(
    connection: Connection,
    plan_digest: str,
    gate: str,
    kind: GateRecordKind,
    *,
    by: str,
    words: str = "",
    evidence: Mapping[str, Any] | None = None,
) -> Word:
    """Write down what was said. The ledger must be there."""
    return _ADD.only(
        connection,
        plan_digest=plan_digest,
        gate=gate,
        kind=kind,
        by=by,
        words=words,
        evidence=Jsonb(dict(evidence or {})),
    )


def attestations(connection: Connection, plan_digest: str) -> dict[tuple[str, GateRecordKind], Word]:
    """The newest attestation and the newest override of each gate that still count; a rollback of its run ends them."""
    return {(word.gate, word.kind): word for word in _ATTESTATIONS.all(connection, plan_digest=plan_digest)}


def newest_record(connection: Connection, kind: GateRecordKind, *, plan_digest: str | None) -> Word | None:
    """The newest of a kind; of any plan where the digest is None."""
    return _NEWEST.first(connection, kind=kind, plan_digest=plan_digest)


def rehearsal_before(connection: Connection, plan_digest: str, run_id: int) -> Word | None:
    """The newest good rehearsal of a plan, before the run's data migration began."""
    return _REHEARSAL_BEFORE.first(connection, plan_digest=plan_digest, run_id=run_id)
