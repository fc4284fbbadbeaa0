"""Whether jobs reach workers: the broker, who takes from the queues that have jobs, and who works on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from monitoring.status.headlines.activity import last_done
from monitoring.status.headlines.headline import Headline
from monitoring.status.untaken import untaken
from replank.wording import counted, seconds
from sql.ledger.reading.signs import QueueSigns, Signs

if TYPE_CHECKING:
    from monitoring.status.status import Status

UNCLAIMED_S = 15.0
IDLE_SENDS = 3
"""A job that was sent so often while a worker of its queue had nothing to do is not heard."""

STUCK_S = 30.0
"""Jobs that are begun are worked on while anything ended or moved within this time."""

BROKER_KNOWN_S = 15.0
"""The coordinator looks every two seconds; what it saw before this is not known any more."""


def of_broker(status: Status) -> Iterator[Headline]:
    """What the coordinator saw of it: without one nothing is known."""
    signs = status.signs
    if signs is None or signs.broker is None or status.leader is None:
        return
    broker, age = signs.broker, signs.age_s(signs.broker.seen_at)
    if age > BROKER_KNOWN_S:
        return
    if not broker.answers:
        yield Headline(
            weight="bad",
            kind="broker",
            words="The broker does not answer: workers receive no jobs",
            why=f"No answer for {seconds(signs.age_s(broker.since))}, last checked {seconds(age)} ago: "
            f"{broker.problem.rstrip('.')}. "
            "Jobs wait in the ledger and are sent when the broker answers.",
        )


def of_workers(status: Status) -> Iterator[Headline]:
    """Jobs that were sent and that no worker takes; jobs that are leased and on which no session works."""
    signs = status.signs
    if signs is None:
        return
    found = untaken(signs.queues)
    if found.queues and found.no_worker:
        yield Headline(
            weight="bad",
            kind="no_worker",
            words="No worker is connected",
            why=f"{counted(found.jobs, 'job', 'was')} sent, but no worker process is connected to this database. "
            f"{last_done(signs)}",
            command="replank worker",
        )
    elif found.queues:
        names = [queue.name for queue in found.queues]
        yield Headline(
            weight="bad",
            kind="no_consumer",
            words=f"No worker takes jobs from the queue {', '.join(names)}",
            why=f"{counted(found.jobs, 'job', 'was')} sent to it. The connected workers take jobs from other queues.",
            command=f"replank worker --queues {','.join(names)}",
        )
    unheard = [queue for queue in signs.queues if queue.late and _unheard(queue, signs)]
    if unheard:
        yield Headline(
            weight="bad",
            kind="unheard",
            words="Idle workers take no jobs",
            why=f"{counted(sum(q.sent for q in unheard), 'job', 'was')} sent to "
            f"{', '.join(queue.name for queue in unheard)} up to {max(q.sends for q in unheard)} times, and idle "
            "workers did not take them. Check that the workers use the same broker as the coordinator.",
            command="replank worker",
        )
    if signs.leased and not signs.working and signs.quiet_s > STUCK_S:
        yield Headline(
            weight="bad",
            kind="stuck",
            words=f"{counted(signs.leased, 'job', 'is')} stuck",
            why=f"No session works on a leased job. The oldest was leased {seconds(signs.oldest_s)} ago. "
            f"{last_done(signs)}",
            command="replank worker",
        )


def _unheard(queue: QueueSigns, signs: Signs) -> bool:
    """By workers that have nothing to do, and have been there long enough to have taken it."""
    here_s = signs.quiet_s if signs.workers_s is None else signs.workers_s
    return queue.sends >= IDLE_SENDS and queue.processes > signs.leased and min(here_s, signs.quiet_s) > UNCLAIMED_S
