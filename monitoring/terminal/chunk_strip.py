"""A table's chunks in a few characters: how many are done, running, failed, skipped, waiting."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

MARKS: Mapping[str, tuple[str, str]] = {
    "done": ("█", "green"),
    "skipped": ("s", "magenta"),
    "leased": ("▓", "yellow"),
    "failed": ("!", "red"),
    "waiting": ("·", "dim"),
}
"""State → its mark and colour, in the order in which they stand."""


def strip(counts: Mapping[str, int], width: int) -> Text:
    """`width` cells, shared among the states by their jobs. A state that has a job has a cell: one failure is seen."""
    states = [state for state in MARKS if counts.get(state)]
    drawn = Text()
    if not states or width < len(states):
        return drawn
    cells = _cells([counts[state] for state in states], width)
    for state, count in zip(states, cells, strict=True):
        mark, colour = MARKS[state]
        drawn.append(mark * count, style=colour)
    return drawn


def _cells(counts: list[int], width: int) -> list[int]:
    """Each at least one; the rest goes to the one furthest behind its share."""
    total, cells = sum(counts), [1] * len(counts)
    for _ in range(width - len(counts)):
        behind = [width * count / total - cell for count, cell in zip(counts, cells, strict=True)]
        cells[behind.index(max(behind))] += 1
    return cells
