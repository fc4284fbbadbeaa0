"""What an operator can do about each class of error."""

from __future__ import annotations

SUGGESTIONS = {
    "value does not convert": "correct or delete the row in the live table, then `replank retry` and run again",
    "values collide": "two rows become the same value: change one in the live table, then `replank retry`",
    "disk full": "make room, then `replank retry` and run again",
    "no privilege": "grant the role what it lacks, then `replank retry` and run again",
    "table is gone": "`replank rollback`, correct the plan, and run again",
    "column is gone": "`replank rollback`, correct the plan, and run again",
    "rewritten": "nothing: the table's chunks are cut anew by themselves",
    "lock timeout": "see who holds the table (pg_stat_activity), then `replank retry` and run again",
}

OTHERWISE = "read the message; when the cause is gone, `replank retry` and run again, or `replank rollback`"


def suggestion(error_class: str | None) -> str:
    """The next step for a class of error."""
    return SUGGESTIONS.get(error_class or "", OTHERWISE)
