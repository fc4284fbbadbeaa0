"""How a log line reads, wherever it is written: time, level, what happened, to what; a traceback stands below."""

from __future__ import annotations

from typing import Any

import structlog
from structlog.typing import EventDict, Processor

_pairs = structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])


def line(logger: Any, name: str, event: EventDict) -> str:
    """The last processor. A traceback, which `format_exc_info` has made a text, keeps its lines."""
    trace = event.pop("exception", None)
    text = str(_pairs(logger, name, event))
    return text if trace is None else f"{text}\n{trace}"


BEFORE: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)
PROCESSORS: tuple[Processor, ...] = (*BEFORE, line)
