"""How old something is, as people say it."""

from __future__ import annotations

from datetime import timedelta


def in_words(age: timedelta) -> str:
    """`45 min`, `30 h`, `4 days`."""
    minutes = round(age.total_seconds() / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:.0f} h" if minutes < 72 * 60 else f"{minutes / 60 / 24:.0f} days"
