"""Fitting parts of a screen into so many lines and columns. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text


@dataclass(frozen=True, kw_only=True)
class Part:
    """Lines that belong together. At least `least` of them are shown where there is any room, the first ones first.

    `more` is what stands in the last line's place where lines are left out; it is given how many.
    """

    lines: Sequence[Text]
    least: int = 0
    more: str = "… and {} more"


def fit(parts: Sequence[Part], *, width: int, height: int) -> list[Text]:
    """At most `height` lines of at most `width` cells; parts that stand first come first where there is little room."""
    rooms = [0] * len(parts)
    free = height
    for number, part in enumerate(parts):
        rooms[number] = min(part.least, len(part.lines), free)
        free -= rooms[number]
    for number, part in enumerate(parts):
        wanted = min(len(part.lines) - rooms[number], free)
        rooms[number] += wanted
        free -= wanted
    return [_cut(line, width) for part, room in zip(parts, rooms, strict=True) for line in _first(part, room)]


def _first(part: Part, room: int) -> list[Text]:
    if room == len(part.lines) or room == 0:
        return list(part.lines[:room])
    left = len(part.lines) - room + 1
    return [*part.lines[: room - 1], Text(part.more.format(left), style="dim")]


def _cut(line: Text, width: int) -> Text:
    """Never wrapped: a screen that jumps cannot be read."""
    shown = Text(line.plain.replace("\n", " "), spans=line.spans, style=line.style, no_wrap=True)
    shown.truncate(width, overflow="ellipsis")
    return shown
