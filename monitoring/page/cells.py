"""The heat map: a table's jobs as a bounded number of cells, each with the worst state of its jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

ALL_CELLS = 4_000
"""About so many cells on one page, however many tables there are."""

FEWEST, MOST = 12, 160

COUNTS = ("jobs", "done", "running", "failed", "quarantined", "skipped", "again", "split", "retried")
"""What a cell counts, in the order in which the page gets it, after its first and last job."""

WORST_FIRST = ("failed", "quarantined", "skipped", "running", "again", "waiting", "split", "retried", "done")
"""A cell bears the first of these that any of its jobs is in; `waiting` and `again` are told apart by an attempt."""

STATES = ("done", "running", "failed", "quarantined", "skipped", "again", "split")
"""Every job is in one of these, or waits for its first attempt."""

ORDER = ("copy", "backfill", "drain", "index", "vacuum", "verify", "repair", "validate", "cache")

Key = tuple[str, int]
"""`("table", number)` or `("cache", number)`."""


def cells_for(bands: int) -> int:
    """How many cells each of so many bands gets."""
    return max(FEWEST, min(MOST, ALL_CELLS // max(bands, 1)))


def worst(cell: Mapping[str, Any]) -> str:
    """The state that a cell is drawn in."""
    counts = dict(cell)
    counts["waiting"] = cell["jobs"] - sum(cell[name] for name in STATES)
    return next((name for name in WORST_FIRST if counts[name]), "done")


def bands(found: Iterable[Mapping[str, Any]]) -> dict[Key, list[dict[str, Any]]]:
    """Rows of `sql.ledger.page.read_cells` as bands: `kind`, sums, and `cells` of numbers with the state's name last.

    Numbers instead of names, because there may be thousands: first and last job, then `COUNTS`.
    """
    grouped: dict[Key, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for cell in found:
        key = ("cache", cell["cache_no"]) if cell["table_no"] is None else ("table", cell["table_no"])
        grouped[key][cell["kind"]].append(cell)
    return {
        key: [
            {
                "kind": kind,
                **{name: sum(cell[name] for cell in of_kind[kind]) for name in COUNTS},
                "cells": [
                    [cell["first"], cell["last"], *(cell[name] for name in COUNTS), worst(cell)]
                    for cell in of_kind[kind]
                ],
            }
            for kind in sorted(of_kind, key=_place)
        ]
        for key, of_kind in grouped.items()
    }


def _place(kind: str) -> int:
    return ORDER.index(kind) if kind in ORDER else len(ORDER)
