"""Jobs that were sent to queues without a worker: one judgement, by the server's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sql.ledger.reading.signs import QueueSigns


@dataclass(frozen=True, kw_only=True)
class Untaken:
    """`queues` have late jobs and no process that takes them; `unsure` ones have sent jobs that may be on their way.

    `no_worker` says that no process takes from any queue.
    """

    queues: tuple[QueueSigns, ...]
    unsure: tuple[QueueSigns, ...]
    no_worker: bool

    @property
    def jobs(self) -> int:
        """Sent to these queues, and not begun."""
        return sum(queue.sent for queue in self.queues)


def untaken(queues: Sequence[QueueSigns]) -> Untaken:
    """Which queues have jobs that no worker takes."""
    deserted = [queue for queue in queues if queue.sent and not queue.processes]
    return Untaken(
        queues=tuple(queue for queue in deserted if queue.late),
        unsure=tuple(queue for queue in deserted if not queue.late),
        no_worker=not any(queue.processes for queue in queues),
    )
