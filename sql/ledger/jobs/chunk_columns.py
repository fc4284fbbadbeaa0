"""The three columns of a job in which its chunk stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replank.values.chunk import Axis, Bound, Chunk


@dataclass(frozen=True, kw_only=True)
class ChunkColumns:
    """A row with a chunk; all three are None where its job has none."""

    axis: Axis | None = None
    lower: Bound | None = None
    upper: Bound | None = None

    @property
    def chunk(self) -> Chunk | None:
        return None if self.axis is None else Chunk(axis=self.axis, lower=self.lower, upper=self.upper)

    @property
    def range(self) -> str:
        """The chunk as operators read it; empty where the job has none."""
        return str(self.chunk or "")


def bounds_json(chunk: Chunk) -> dict[str, Any]:
    return {
        "lower": None if chunk.lower is None else list(chunk.lower),
        "upper": None if chunk.upper is None else list(chunk.upper),
    }
