"""Gates that are attested: by a person with name and time, or by a webhook whose answer is 2xx."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from standardwebhooks.webhooks import Webhook

from producer.notifications.signing import signed_headers, signer_of
from producer.notifications.web import Answer, ask, place_of
from replank.errors import WrongUse
from replank.plan.operation.gates_plan import AttestationPlan, age_of
from replank.plan.plan import Plan
from replank.wording import counted
from sql.ledger.runs import gate_records
from sql.ledger.runs.gate_records import Word
from sql.ledger.runs.gates import Gate
from sql.session.connection import Connection


def check_attestation(connection: Connection, plan: Plan, asked: AttestationPlan, said: Word | None) -> Gate:
    """By what was said of it; where that is nothing, or too old, the webhook is asked and its word is kept."""
    if said is not None and said.age <= age_of(asked.max_age):
        return _passed(asked, said)
    remedy = f"`replank gates PLAN attest {asked.name} --by WHO`"
    old = f"; {said.by} attested it {counted(said.age.days, 'day')} ago" if said is not None else ""
    if asked.webhook is None:
        return Gate(name=asked.name, state="open", reason=f"it is not attested{old}. {asked.says}", remedy=remedy)
    try:
        answer, evidence = _call(plan, asked, asked.webhook)
    except WrongUse as error:
        reason = f"{place_of(asked.webhook)} was not called: {error}"
        return Gate(name=asked.name, state="open", reason=reason, remedy=remedy)
    if not answer.good:
        reason = f"{place_of(asked.webhook)} answers {answer.status or 'nothing'}: {answer.text[:120]}{old}"
        return Gate(name=asked.name, state="open", reason=reason, remedy=remedy, evidence=evidence)
    by = f"webhook {place_of(asked.webhook)}"
    word = gate_records.add_record(
        connection, plan.digest(), asked.name, "attested", by=by, words=answer.text[:200].strip(), evidence=evidence
    )
    return _passed(asked, word)


def _passed(asked: AttestationPlan, said: Word) -> Gate:
    return Gate(
        name=asked.name, state="passed", by=said.by, at=said.at, reason=said.words or asked.says, evidence=said.evidence
    )


def _call(plan: Plan, asked: AttestationPlan, url: str) -> tuple[Answer, Mapping[str, Any]]:
    """Tell it what is about to happen. Raises WrongUse where the secret that shall sign it is none.

    Each call is a question of its own, with a new id: an answer of yesterday is not one of today.
    """
    document = {
        "gate": asked.name,
        "says": asked.says,
        "plan": plan.name,
        "plan_digest": plan.digest(),
        "database": plan.database.name,
    }
    body = json.dumps(document, sort_keys=True).encode()
    headers = {"Content-Type": "application/json"}
    signer = _signer(plan)
    if signer is not None:
        headers |= signed_headers(signer, message_id=f"msg_{uuid.uuid4().hex}", at=datetime.now(UTC), body=body)
    answer = ask(url, body=body, headers=headers)
    return answer, {"webhook": place_of(url), "status": answer.status, "signed": signer is not None}


def _signer(plan: Plan) -> Webhook | None:
    """None where no secret is set: then calls are not signed."""
    assert plan.gates is not None
    variable = plan.gates.webhook_secret_env
    secret = os.environ.get(variable, "")
    return signer_of(secret, variable=variable) if secret else None
