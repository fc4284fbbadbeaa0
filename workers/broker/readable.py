"""A message as Celery may see it: built again from the few things of it that Replank needs, each checked.

Whatever else was in it (deadlines, retries, callbacks, languages) is not carried over: one field of another type ends
Celery's consumer. Shape of a task message: https://docs.celeryq.dev/en/stable/internals/protocol.html
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from replank.values.messages import TASK

LARGEST_ID = 2**63 - 1
LONGEST_WORD = 2_000
"""What monitors show of a message."""

NO_CALLBACKS: Mapping[str, None] = dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))


class Unreadable(Exception):
    """The message is not one that Replank has sent."""


def readable(found: object, queue: str, *, ours: bool) -> Any:
    """The message of one of our queues, made again; one of Celery's own channels as it is, if it can be decoded.

    Raises Unreadable with what is wrong with it.
    """
    message = _mapping(found, "the message is no JSON object")
    properties = _mapping(message.get("properties"), "its properties are missing")
    tag = _word(properties.get("delivery_tag"), "its delivery tag")
    body = _decoded(message.get("body"), properties)
    if not ours:
        _mapping(message.get("headers", {}), "its headers are missing")
        _mapping(properties.get("delivery_info"), "its delivery info are missing")
        return found
    headers = _mapping(message.get("headers"), "its headers are missing")
    if headers.get("task") != TASK:
        raise Unreadable("it names another task")
    task_id = _word(headers.get("id"), "its id")
    words = {
        name: str(headers[name])[:LONGEST_WORD] for name in ("shadow", "kwargsrepr", "origin") if headers.get(name)
    }
    return {
        "body": _body(body),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            **words,
            "lang": "py",
            "task": TASK,
            "id": task_id,
            "root_id": task_id,
            "retries": 0,
            "timelimit": [None, None],
            "argsrepr": "()",
            "ignore_result": True,
        },
        "properties": {
            "correlation_id": task_id,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": tag,
        },
    }


def _mapping(found: object, otherwise: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise Unreadable(otherwise)
    return found


def _word(found: object, what: str) -> str:
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_WORD:
        raise Unreadable(f"{what} is no text")
    return found


def _decoded(body: object, properties: Mapping[str, Any]) -> bytes:
    if not isinstance(body, str) or properties.get("body_encoding") != "base64":
        raise Unreadable("its body is no text in base64")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise Unreadable("its body is no text in base64") from None


def _body(body: bytes) -> str:
    """The two ids, in the body of a message that calls nothing afterwards."""
    try:
        _, named, *_ = json.loads(body)
        ids = {name: named[name] for name in ("run_id", "job_id")}
    except (ValueError, TypeError, LookupError, RecursionError):
        raise Unreadable("its body names no run and no job") from None
    if not all(type(one) is int and 0 < one <= LARGEST_ID for one in ids.values()):
        raise Unreadable("its run and job are no ids")
    return base64.b64encode(json.dumps([[], ids, NO_CALLBACKS]).encode()).decode()
