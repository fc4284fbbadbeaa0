"""Delivering one message: tried again with growing, jittered waits until the receiver takes it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tenacity import RetryCallState, Retrying, retry_if_result, sleep_using_event, wait_exponential_jitter

from producer.notifications.messages import Message
from producer.notifications.receivers import Receiver
from producer.notifications.signing import signed_headers
from producer.notifications.web import Answer, ask

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
    retrying = Retrying(
        retry=retry_if_result(lambda answer: not answer.good),
        stop=lambda state: stop.is_set() or _is_hopeless(state),
        wait=wait_exponential_jitter(multiplier=first_wait_s, max=MOST_WAIT_S, jitter=first_wait_s),
        sleep=sleep_using_event(stop),
        before_sleep=lambda state: note(state.attempt_number, _problem(_answer(state))),
        retry_error_callback=_answer,
    )
    answer = retrying(_send, receiver, message)
    attempts = int(retrying.statistics["attempt_number"])
    given_up = not answer.good and not stop.is_set()
    return Delivery(
        delivered=answer.good, given_up=given_up, attempts=attempts, problem="" if answer.good else _problem(answer)
    )


def _send(receiver: Receiver, message: Message) -> Answer:
    """Signed anew at each try: a receiver refuses what was signed long ago."""
    headers = signed_headers(receiver.signer, message_id=message.message_id, at=datetime.now(UTC), body=message.body)
    return ask(receiver.url, body=message.body, headers={"Content-Type": "application/json", **headers})


def _answer(state: RetryCallState) -> Answer:
    assert state.outcome is not None
    answer: Answer = state.outcome.result()
    return answer


def _is_hopeless(state: RetryCallState) -> bool:
    answer = _answer(state)
    refused = 300 <= answer.status < 500 and answer.status not in LATER
    if answer.status == GONE or (refused and state.attempt_number >= REFUSALS):
        return True
    return (state.seconds_since_start or 0.0) >= GIVE_UP_S


def _problem(answer: Answer) -> str:
    return f"{answer.status or 'no answer'}: {answer.text[:120].strip()}"
