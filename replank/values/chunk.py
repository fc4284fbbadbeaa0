"""A chunk: one half-open range of one table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Bound = tuple[str, ...]
"""One value for each key column, in the type's text form."""


class Axis(StrEnum):
    """How a table is cut."""

    PRIMARY_KEY = "primary_key"
    HEAP = "heap"


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """The half-open range `[lower, upper)` of one table along `axis`.

    On the heap axis the bounds are block numbers; where a chunk is a part of one block, a row's number in it follows,
    and where several partitions have a row in that place, the partition's oid. On the primary-key axis they are
    key rows, compared as rows in the key's own collation; `None` means unbounded, so that the first and the last
    chunk also hold keys that did not exist when the table was cut.
    """

    axis: Axis
    lower: Bound | None
    upper: Bound | None

    def __str__(self) -> str:
        lower = "-inf" if self.lower is None else ", ".join(self.lower)
        upper = "+inf" if self.upper is None else ", ".join(self.upper)
        return f"{self.axis} [{lower}, {upper})"


Side = Literal["live", "next"]
