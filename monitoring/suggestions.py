"""What an operator can do about each class of error."""

from __future__ import annotations

from collections.abc import Mapping

SUGGESTIONS = {
    "value does not convert": "correct or delete the row in the live table, then `replank retry{job}` and run again",
    "values collide": "two rows become the same value: change one in the live table, then `replank retry{job}`",
    "check violated": "correct the row, or the constraint, in the live table, then `replank retry{job}` and run again",
    "refused by a trigger or function": "correct the row in the live table, then `replank retry{job}` and run again",
    "data error": "correct the row in the live table, then `replank retry{job}` and run again",
    "timeout": "find what was slow (`replank explain{job}`), then `replank retry{job}`, or with --smaller",
    "out of memory": "let the server have more memory, then `replank retry{job}`, or with --smaller",
    "worker lost": "read the workers' logs: it may have killed them; then `replank retry{job}`",
    "disk full": "make room, then `replank retry{job}` and run again",
    "no privilege": "grant the role what it lacks, then `replank retry{job}` and run again",
    "table is gone": "`replank rollback`, correct the plan, and run again",
    "column is gone": "`replank rollback`, correct the plan, and run again",
    "rewritten": "nothing: the table's chunks are cut anew by themselves",
    "lock timeout": "see who holds the table (pg_stat_activity), then `replank retry{job}` and run again",
}

OTHERWISE = "read the message; when the cause is gone, `replank retry{job}` and run again, or `replank rollback`"


def suggestion(error_class: str | None, *, job: int | None = None, row: Mapping[str, str] | None = None) -> str:
    """The next step for a class of error, for one job; `row` is the key of the single row that it came down to."""
    words = SUGGESTIONS.get(error_class or "", OTHERWISE).replace("{job}", "" if job is None else f" {job}")
    if row is None:
        return words
    return f"{words} (the row: {', '.join(f'{column} = {text!r}' for column, text in row.items())})"
