"""One thing to know."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Weight = Literal["bad", "look", "good"]

Kind = Literal[
    "rollback_stopped",
    "needs_operator",
    "failed",
    "no_coordinator",
    "broker",
    "problem",
    "no_worker",
    "no_consumer",
    "unheard",
    "stuck",
    "panicked",
    "paused",
    "governor",
    "messages_lost",
    "gates",
    "cutover_held",
    "cutover_window",
    "cutover_waits",
    "broker_unknown",
    "awaiting_worker",
    "quiet",
    "running",
    "done",
    "finished",
    "rolling_back",
    "rolled_back",
    "rollback_refused",
]


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One thing to know, why it is so, and the button that changes it (or the command, where there is no button).

    `kind` is for programs; `words` may be rewritten.
    """

    weight: Weight
    kind: Kind
    words: str
    why: str = ""
    button: str = ""
    command: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
