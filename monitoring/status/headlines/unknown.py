"""What keeps a run from being called running, though nothing is known to be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from monitoring.status.headlines.activity import doing, last_done
from monitoring.status.headlines.deliveries import BROKER_KNOWN_S
from monitoring.status.headlines.headline import Headline
from monitoring.status.headlines.waits import of_cutover
from monitoring.status.untaken import untaken
from replank.values.steps import DATA_PHASE
from replank.wording import counted, seconds

if TYPE_CHECKING:
    from monitoring.status.status import Status

QUIET_S = 30.0
"""Without anything that ended or moved for so long, a run is not said to be running."""


def of_unknown(status: Status) -> Iterator[Headline]:
    """The coordinator's silence, a worker that is not there yet, or that nothing moves."""
    signs = status.signs
    if signs is None or status.run.paused or status.leader is None:
        return
    if signs.broker is not None and signs.age_s(signs.broker.seen_at) > BROKER_KNOWN_S:
        yield Headline(
            weight="look",
            kind="broker_unknown",
            words="The coordinator has not checked the broker lately",
            why=f"Its last check was {seconds(signs.age_s(signs.broker.seen_at))} ago. "
            "It may be executing a long statement.",
        )
    found = untaken(signs.queues)
    sent = sum(queue.sent for queue in found.unsure)
    if sent and found.no_worker and not found.queues:
        yield Headline(
            weight="look",
            kind="awaiting_worker",
            words="Waiting for a worker",
            why=f"{counted(sent, 'job', 'was')} sent a moment ago, but no worker process is connected yet.",
            command="replank worker",
        )
    waits = any(True for _ in of_cutover(status, are_drained=True)) or status.run.window_now == 0
    if signs.quiet_s > QUIET_S and not signs.leased and status.step[1] == DATA_PHASE and not waits:
        yield Headline(
            weight="look",
            kind="quiet",
            words=f"No progress for {seconds(signs.quiet_s)}",
            why=f"No job is running. {last_done(signs)} Last activity: {doing(status)}.",
        )
