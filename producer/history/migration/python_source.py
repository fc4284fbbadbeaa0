"""Statements as Python writes them, for migrations that are programs."""

from __future__ import annotations


def literal(statement: str) -> str:
    """Python's literal of a text, with its lines kept where that can be."""
    # Python reads a carriage return in its source as a line's end, and a backslash takes what ends a text with it.
    if "\r" not in statement and not statement.endswith("\\"):
        raw = "r" if "\\" in statement else ""
        for quotes in ('"""', "'''"):
            if quotes not in statement and not statement.endswith(quotes[0]):
                return f"{raw}{quotes}{statement}{quotes}"
    return repr(statement)
