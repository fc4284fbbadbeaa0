"""Gates that are attested: by a person with name and time, or by a webhook whose answer is 2xx."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from producer.notifications.web import Answer, ask, place_of
from replank.plan.gates_plan import AttestationPlan, age_of
from replank.plan.plan import Plan
from replank.wording import counted
from sql.ledger.runs import gates
from sql.ledger.runs.gates import Gate, Word
from sql.session.connection import Connection

SIGNATURE = "X-Replank-Signature"
MOMENT = "X-Replank-Time"


def look_at_attestation(connection: Connection, plan: Plan, asked: AttestationPlan, said: Word | None) -> Gate:
    """By what was said of it; where that is nothing, or too old, the webhook is asked and its word is kept."""
    if said is not None and said.age <= age_of(asked.max_age):
        return _passed(asked, said)
    remedy = f"`replank gates PLAN attest {asked.name} --by WHO`"
    old = f"; {said.by} attested it {counted(said.age.days, 'day')} ago" if said is not None else ""
    if asked.webhook is None:
        return Gate(name=asked.name, state="open", reason=f"nobody has attested it{old}. {asked.says}", remedy=remedy)
    answer, evidence = _call(plan, asked, asked.webhook, gates.server_now(connection))
    if not answer.good:
        reason = f"{place_of(asked.webhook)} answers {answer.status or 'nothing'}: {answer.text[:120]}{old}"
        return Gate(name=asked.name, state="open", reason=reason, remedy=remedy, evidence=evidence)
    by = f"webhook {place_of(asked.webhook)}"
    word = gates.add_word(
        connection, plan.digest(), asked.name, "attested", by=by, words=answer.text[:200].strip(), evidence=evidence
    )
    return _passed(asked, word)


def _passed(asked: AttestationPlan, said: Word) -> Gate:
    return Gate(
        name=asked.name, state="passed", by=said.by, at=said.at, reason=said.words or asked.says, evidence=said.evidence
    )


def _call(plan: Plan, asked: AttestationPlan, url: str, now: datetime) -> tuple[Answer, Mapping[str, Any]]:
    """Tell it what is about to happen. The signature covers time and body, so that neither can be used again."""
    document = {
        "gate": asked.name,
        "says": asked.says,
        "plan": plan.name,
        "plan_digest": plan.digest(),
        "database": plan.database.name,
    }
    body = json.dumps(document, sort_keys=True).encode()
    moment = now.isoformat()
    headers = {"Content-Type": "application/json", MOMENT: moment}
    secret = os.environ.get(plan.gates.webhook_secret_env, "") if plan.gates is not None else ""
    if secret:
        headers[SIGNATURE] = f"sha256={signature(secret, moment, body)}"
    answer = ask(url, body=body, headers=headers)
    return answer, {"webhook": place_of(url), "status": answer.status, "signed": bool(secret)}


def signature(secret: str, moment: str, body: bytes) -> str:
    """HMAC-SHA256 over `<time>.<body>`, in hexadecimal."""
    return hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
