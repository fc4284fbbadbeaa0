"""What is wrong with a plan, in the words of a plan: tables and columns by their names, never by positions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from pydantic import ValidationError

from replank.names import fits
from replank.plan.text.plan_lines import line_of

_ONE_OF = {"tables": "table", "columns": "column", "caches": "cache", "enums": "enum type", "queries": "query"}
"""What an element of a list is called; elsewhere by the list's own key."""

_NAMES = ("name", "column", "table", "from", "query")
"""Keys that tell elements of a list apart, the best first."""

_LIKE_A_NAME = re.compile(r"[\w.$ -]+")

_OWN_PREFIXES = ("Value error, ", "Assertion failed, ")

_SHORTER = (
    ("greater than or equal to", "at least"),
    ("less than or equal to", "at most"),
    ("a valid integer", "a whole number"),
    ("a valid number", "a number"),
    ("a valid string", "a text"),
    (", unable to parse string as a number", ""),
    (", unable to parse string as an integer", ""),
)

Location = tuple[int | str, ...]


def told_mistakes(error: ValidationError, document: Mapping[str, Any], *, source: str, text: str) -> list[str]:
    """A line for each mistake: file and line, whose it is, what it is."""
    told = []
    for mistake in error.errors():
        place = _place(mistake["loc"])
        where = f"{source}:{line_of(text, place)}"
        whose = ", ".join(_whose(place, document)) or "plan"
        told.append(f"{where}: {whose}: {said(mistake['type'], mistake['msg'])}")
    return told


def said(kind: str, message: str) -> str:
    """A validator's message without words that are meant for programmers."""
    match kind:
        case "extra_forbidden":
            return "unknown key; remove it or correct its spelling"
        case "union_tag_not_found":
            return "the key kind is missing: table, materialized_view, prewarm or redis"
        case "union_tag_invalid":
            return "kind must be table, materialized_view, prewarm or redis"
        case "missing":
            return "this key is missing"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "this is a section with keys of its own"
    for prefix in _OWN_PREFIXES:
        message = message.removeprefix(prefix)
    for theirs, ours in _SHORTER:
        message = message.replace(theirs, ours)
    # "Input should be 'uuid'", "String should have at most 63 characters"
    _, should, rest = message.partition(" should ")
    return f"it should {rest}" if should and " " not in message.split(" should ")[0] else message


def _place(location: Location) -> Location:
    """Where a mistake stands in the file: a cache's kind is no place of its own there."""
    if location[:1] == ("caches",) and len(location) > 2:
        return (*location[:2], *location[3:])
    return location


def _whose(place: Location, document: Mapping[str, Any]) -> Iterator[str]:
    """`table orders`, `column id`, `to` for `("tables", 3, "columns", 0, "to")`."""
    here: Any = document
    before = ""
    for part, after in zip_longest(place, place[1:]):
        here = _inside(here, part)
        if isinstance(part, int):
            yield f"{_ONE_OF.get(before, before)} {_name_of(here, part)}"
        elif not isinstance(after, int):
            # The name of a list is reported with its element.
            yield part
        before = str(part)


def _inside(value: Any, part: int | str) -> Any:
    if isinstance(value, Mapping):
        return value.get(str(part))
    if isinstance(value, Sequence) and not isinstance(value, str) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


def _name_of(element: Any, position: int) -> str:
    """Its name; where it has none, which one it is, counted from 1."""
    if isinstance(element, Mapping):
        for key in _NAMES:
            if isinstance(element.get(key), str):
                return str(element[key])
    elif isinstance(element, str) and _LIKE_A_NAME.fullmatch(element) and fits(element):
        return element
    # A URL may hold a password.
    return f"no. {position + 1}"
