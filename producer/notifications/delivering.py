"""Delivering one message: tried again with growing, jittered waits until the receiver takes it."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from producer.notifications.messages import Message
from producer.notifications.receivers import Receiver
from producer.notifications.signing import signed_headers
from producer.notifications.web import Answer, ask
from replank.backoff import Backoff

FIRST_WAIT_S, MOST_WAIT_S = 1.0, 300.0
GIVE_UP_S = 24 * 3600.0
REFUSALS = 5
"""So often a message is tried that its receiver refuses (4xx): it would refuse it for ever."""

LATER = (408, 425, 429)
"""Answers below 500 that ask for another try."""

GONE = 410


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What became of a message after `attempts` tries. Neither delivered nor given up: it was interrupted."""

    delivered: bool
    given_up: bool
    attempts: int
    problem: str = ""


def deliver(
    receiver: Receiver,
    message: Message,
    *,
    stop: threading.Event,
    note: Callable[[int, str], None],
    first_wait_s: float = FIRST_WAIT_S,
) -> Delivery:
    """Send until it is taken, given up, or `stop` is set. `note` hears of each try that failed, and why."""
    backoff, random_source = Backoff(first_s=first_wait_s, most_s=MOST_WAIT_S), random.Random()
    give_up_at = time.monotonic() + GIVE_UP_S
    for attempt in itertools.count(1):
        answer = _send(receiver, message)
        if answer.good:
            return Delivery(delivered=True, given_up=False, attempts=attempt)
        hopeless = _is_refused(answer, attempt) or time.monotonic() >= give_up_at
        if hopeless or stop.is_set():
            break
        note(attempt, _problem(answer))
        stop.wait(backoff.wait_s(attempt, random_source))
    return Delivery(delivered=False, given_up=not stop.is_set(), attempts=attempt, problem=_problem(answer))


def _send(receiver: Receiver, message: Message) -> Answer:
    """Signed again at each try: a receiver refuses what was signed long ago."""
    headers = signed_headers(receiver.signer, message_id=message.message_id, at=datetime.now(UTC), body=message.body)
    return ask(receiver.url, body=message.body, headers={"Content-Type": "application/json", **headers})


def _is_refused(answer: Answer, attempt: int) -> bool:
    """Whether it would be refused for ever."""
    refused = 300 <= answer.status < 500 and answer.status not in LATER
    return answer.status == GONE or (refused and attempt >= REFUSALS)


def _problem(answer: Answer) -> str:
    return f"{answer.status or 'no answer'}: {answer.text[:120].strip()}"
