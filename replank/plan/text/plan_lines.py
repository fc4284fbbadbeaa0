"""In which line of a plan a key stands: tomllib forgets, an operator needs it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\- ]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-]+)\s*=")


def line_of(text: str, location: Sequence[int | str]) -> int:
    """The line (from 1) of the key at `location`, e.g. `("tables", 1, "columns", 0, "to")`.

    Where the key itself is missing: the line of the innermost table that should hold it. Plans are
    flat `[table]` and `[[array]]` sections; a value inside an inline table answers with its key's line.
    """
    lines = _key_lines(text)
    for length in range(len(location), 0, -1):
        found = lines.get(tuple(location[:length]))
        if found is not None:
            return found
    return 1


def _key_lines(text: str) -> dict[tuple[int | str, ...], int]:
    lines: dict[tuple[int | str, ...], int] = {}
    counts: dict[tuple[int | str, ...], int] = {}
    here: tuple[int | str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            here = _section(header.group(2).split("."), header.group(1) == "[[", counts)
            lines.setdefault(here, number)
            continue
        key = _KEY.match(line)
        if key:
            lines.setdefault((*here, key.group(1)), number)
    return lines


def _section(parts: list[str], is_array: bool, counts: dict[tuple[int | str, ...], int]) -> tuple[int | str, ...]:
    """Where a header leads: every array on the way means its latest element."""
    here: tuple[int | str, ...] = ()
    for depth, part in enumerate(parts):
        here = (*here, part.strip())
        if is_array and depth == len(parts) - 1:
            counts[here] = counts.get(here, -1) + 1
        if here in counts:
            here = (*here, counts[here])
    return here
