"""What the verify jobs of one round saw together: both sides of a table, added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TOO_LARGE = "too_large"
"""In the result of a verification in one piece that could not be done in one piece: why."""


@dataclass(frozen=True, kw_only=True)
class VerificationSums:
    """What all verify jobs of one round saw together. The hashes are sums over the rows."""

    rows_live: int
    rows_next: int
    equal: bool
    stale: bool
    quarantined_rows: int = 0
    """Live rows that are not in next, because they are in quarantine; `rows_live` counts them too."""
    hash_live: int = 0
    hash_next: int = 0
    too_large: bool = False
    """The table was one job, and that was too much: it is compared in chunks."""


def add_up(documents: Sequence[Mapping[str, Any]]) -> VerificationSums:
    """Add the jobs' sums for each side. Stale: a snapshot was lost, a job too large, or a TRUNCATE waits in the log."""
    rows = {"live": 0, "next": 0}
    totals = {"live": 0, "next": 0}
    quarantined = {"live": (0, 0), "next": (0, 0)}
    stale = not documents
    for document in documents:
        if "snapshot_lost" in document or TOO_LARGE in document:
            stale = True
            continue
        for side in ("live", "next"):
            if side in document:
                rows[side] += document[side]["rows"]
                totals[side] += int(document[side]["total"])
                stale = stale or document[side]["truncated"]
                count, total = quarantined[side]
                more = document[side]
                quarantined[side] = (count + more.get("quarantined", 0), total + int(more.get("quarantined_total", 0)))
    same = rows["live"] == rows["next"] and totals["live"] == totals["next"]
    return VerificationSums(
        rows_live=rows["live"] + quarantined["live"][0],
        rows_next=rows["next"],
        equal=same and quarantined["live"] == quarantined["next"],
        stale=stale,
        quarantined_rows=quarantined["live"][0],
        hash_live=totals["live"],
        hash_next=totals["next"],
        too_large=any(TOO_LARGE in document for document in documents),
    )
