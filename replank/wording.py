"""How numbers are written in messages."""

from __future__ import annotations

_PLURAL = {"is": "are", "was": "were", "has": "have", "does": "do", "it": "they", "its": "their"}


def counted(count: int, noun: str, singular_verb: str = "") -> str:
    """`1 key`, `2 keys`, `1,200 indexes`; with a verb `1 key differs`, `2 keys differ`."""
    words = f"1 {noun}" if count == 1 else f"{count:,} {plural_of(noun)}"
    return f"{words} {verb(count, singular_verb)}" if singular_verb else words


def plural_of(noun: str) -> str:
    """`key` → `keys`, `process` → `processes`, `entry` → `entries`."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch")) else f"{noun}s"


def verb(count: int, singular: str) -> str:
    """`is` or `are`, `has` or `have`, `waits` or `wait`: the form that goes with so many."""
    if count == 1:
        return singular
    return _PLURAL.get(singular, singular.removesuffix("s"))


def seconds(value: float) -> str:
    """A duration as people say it: `45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def longest_wait(ms: float | None) -> str:
    """What a swap has cost others, over all its attempts, at most; empty where that is not known."""
    return "" if ms is None else f"longest wait of the application {ms:.1f} ms"
