"""What a process at work reports of a delivery to its worker's main process: what Celery shows of a result.

It is returned, whatever became of the job, and never raised. Celery pickles an exception with all frames on its way:
35 kB through the pool's pipe, with whatever they hold. A connection to the broker that is lost while the main process
has read a part of that ends the worker, because Celery then takes up reading in the middle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from workers.execution.outcome import Outcome

LONGEST_WORDS = 300
LONGEST = 4_000
"""Characters of a report, with every one of its words' escaped; a pipe takes so much at once or not at all."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """No values of rows: it travels to the main process, and to every monitor."""

    outcome: Outcome
    words: str

    @property
    def line(self) -> str:
        """As monitors show it."""
        return f"{self.outcome}: {self.words}" if self.words else str(self.outcome)

    def __repr__(self) -> str:
        """What Celery sends instead of a result."""
        return json.dumps([str(self.outcome), self.words[:LONGEST_WORDS]])

    @classmethod
    def read(cls, shown: str) -> Report:
        """From its repr. Raises ValueError for anything else."""
        outcome, words = json.loads(shown)
        return cls(outcome=Outcome(outcome), words=str(words))
