"""The heat map: a table's jobs as a bounded number of cells, each with the worst state of its jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sql.ledger.reading.page import CellKey

ALL_CELLS = 2_400
"""About so many cells on one page, however many tables there are."""

MOST = 400
"""At most so many in one band, even where the ids of several tables alternate."""

COUNTS = ("jobs", "done", "running", "failed", "skipped", "again", "split", "retried")
"""What a cell counts, in the order in which the page gets it, after its first and last job."""

WORST_FIRST = ("failed", "skipped", "running", "again", "waiting", "split", "retried", "done")
"""A cell bears the first of these that any of its jobs is in; `waiting` is what has had no attempt."""

ORDER = ("copy", "backfill", "drain", "index", "vacuum", "verify", "repair", "validate", "cache")

Cell = tuple[int, ...]
"""First and last job, then `COUNTS`."""

Key = tuple[str, int]
"""`("table", number)` or `("cache", number)`."""


def width_for(jobs: int) -> int:
    """How many ids share a cell. A run's ids follow each other, so there are about as many cells as wanted."""
    return max(1, -(-jobs // ALL_CELLS))


def worst(cell: Cell) -> str:
    """The state that a cell is drawn in."""
    _, _, jobs, done, running, failed, skipped, again, split, retried = cell
    if done == jobs:
        return "retried" if retried else "done"
    waiting = jobs - done - running - failed - skipped - again - split
    counted = (failed, skipped, running, again, waiting, split)
    return next(state for state, count in zip(WORST_FIRST, counted, strict=False) if count)


def bands(found: Mapping[CellKey, Sequence[Cell]]) -> dict[Key, list[dict[str, Any]]]:
    """Tables and caches with their bands: `kind`, sums, and `cells` of numbers with the state's name last.

    Of each kind only the newest generation is shown: chunks of an older one were cut again.
    """
    newest: dict[tuple[int, str], int] = {}
    for key in found:
        newest[key.object, key.kind] = max(key.generation, newest.get((key.object, key.kind), 0))
    drawn: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for key in sorted(found, key=lambda key: (key.object, _place(key.kind))):
        if key.generation == newest[key.object, key.kind]:
            owner = ("table", key.object) if key.object >= 0 else ("cache", -1 - key.object)
            drawn[owner].append(_band(key.kind, found[key]))
    return drawn


def _band(kind: str, cells: Sequence[Cell]) -> dict[str, Any]:
    together = -(-len(cells) // MOST)
    few = cells if together == 1 else [_joined(cells[at : at + together]) for at in range(0, len(cells), together)]
    sums = dict(zip(COUNTS, _joined(cells)[2:], strict=True))
    return {"kind": kind, **sums, "cells": [[*cell, worst(cell)] for cell in few]}


def _joined(cells: Sequence[Cell]) -> Cell:
    """Neighbours as one cell."""
    firsts, lasts, *counts = zip(*cells, strict=True)
    return (min(firsts), max(lasts), *map(sum, counts))


def _place(kind: str) -> int:
    return ORDER.index(kind) if kind in ORDER else len(ORDER)
