"""An event of the ledger as a message: its topic, its body, and the id by which a receiver drops twins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from replank.plan.operation.notifications_plan import Topic
from sql.ledger.reading.deliveries import Event

TOPIC_OF: Mapping[str, Topic] = {
    "run": "start",
    "step": "barrier",
    "gates": "barrier",
    "needs_operator": "failure",
    "breaker": "failure",
    "failure": "failure",
    "panic": "failure",
    "cutover": "cutover",
    "done": "finish",
    "finish": "finish",
    "rollback": "rollback",
    "rolled_back": "rollback",
}
"""Kinds of events and what receivers know them as; other kinds are not sent."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is sent. `message_id` is the same at each try, and no two events have the same one."""

    event_id: int
    message_id: str
    body: bytes


def kinds_of(topics: Collection[Topic]) -> list[str]:
    return [kind for kind, topic in TOPIC_OF.items() if topic in topics]


def message_of(event: Event, *, database: str, identity: str) -> Message:
    """`identity` tells databases apart: numbers of runs and events begin again in each, and after a rollback."""
    origin = f"{identity} {event.run_id} {event.event_id} {event.at.isoformat()}"
    document = {
        "type": f"run.{TOPIC_OF[event.kind]}",
        "timestamp": _moment(event.at),
        "data": {
            "database": database,
            "run": event.run_id,
            "plan": event.plan_name,
            "event": event.kind,
            "actor": event.actor,
            "subject": event.subject,
            "message": event.message,
        },
    }
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Message(
        event_id=event.event_id, message_id=f"msg_{hashlib.sha256(origin.encode()).hexdigest()[:32]}", body=body
    )


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
