"""Names as Prisma's users write them, in the form that people write by hand: `BookingItem` → `booking_item`."""

from __future__ import annotations

import re
from itertools import groupby

_GAPS = re.compile(r"[\s\-]+")


def snake_case(name: str) -> str:
    """`userID` → `user_id`, `HTTPServer` → `http_server`, `userIDs` → `user_ids`, `address2Line` → `address2_line`.

    Digits stay with what stands before them. Underscores stay where they are, spaces and hyphens become some. A name
    in lower case is what it was, so a second time changes nothing.
    """
    parts = (_words(part) for part in _GAPS.sub("_", name).split("_"))
    return "_".join("_".join(words) for words in parts)


def _words(part: str) -> list[str]:
    """The words of a part without underscores, in lower case; an empty part is one empty word."""
    words: list[str] = []
    for is_upper, run in groupby(part, key=_is_upper):
        letters = "".join(run)
        if is_upper or not words:
            words.append(letters)
        else:
            words[-1:] = _joined(words[-1], letters)
    return [word.lower() for word in words] or [""]


def _joined(capitals: str, rest: str) -> list[str]:
    """Capitals and what follows: the last capital begins a word, unless an `s` or a digit ends the capitals' own."""
    if len(capitals) == 1 or not rest[0].isalpha():
        return [capitals + rest]
    if rest[0] == "s" and not rest[1:2].isalpha():
        # `IDs`, `URLs2`: the plural of an abbreviation.
        return [capitals + rest]
    return [capitals[:-1], capitals[-1] + rest]


def _is_upper(letter: str) -> bool:
    return letter != letter.lower()
