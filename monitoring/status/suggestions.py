"""What an operator can do about each class of error."""

from __future__ import annotations

from collections.abc import Mapping

FIRST = {
    "value does not convert": "correct or delete the row in the live table",
    "values collide": "two rows become the same value: change one in the live table",
    "orphan": "correct or delete the rows without a parent in the live table",
    "check violated": "correct the row, or the constraint, in the live table",
    "refused by a trigger or function": "correct the row in the live table",
    "data error": "correct the row in the live table",
    "timeout": "find what was slow (`replank explain{job}`)",
    "out of memory": "give the server more memory",
    "out of locks": "raise max_locks_per_transaction and restart the server, or end the session that holds so many "
    "locks (count pg_locks by pid)",
    "worker lost": "read the log of the worker that it names, and the kernel's on that machine (`dmesg -T`): "
    "it may have been killed for its memory",
    "server process lost": "read PostgreSQL's log and the kernel's on the server (`dmesg -T`): it may have been killed "
    "for its memory; give it more, or lower work_mem",
    "internal error": "report this bug (its traceback is in the log of the worker that it names; "
    "`replank explain{job}` says which file local workers write) and install a version without it",
    "disk full": "free disk space",
    "limit of the server": "raise the limit that the message names",
    "no privilege": "grant the role the missing privilege",
    "lock timeout": "find the session that holds the table (pg_stat_activity)",
}
"""What comes before the job is tried again: otherwise it fails again."""

OR_ELSE = {
    "orphan": "; or, where the job validates the key, `replank skip{job} --reason TEXT`: it stays NOT VALID, and "
    "checks new rows only",
}

SMALLER_HELPS = frozenset({"timeout", "out of memory", "limit of the server", "worker lost", "server process lost"})

WITHOUT_RETRY = {
    "table is gone": "`replank rollback`, correct the plan, and run again",
    "column is gone": "`replank rollback`, correct the plan, and run again",
    "rewritten": "nothing: the table is cut into chunks again automatically",
}

OTHERWISE = "read the message; when the cause is gone, `replank retry{job}` and run again, or `replank rollback`"


def suggestion(error_class: str | None, *, job: int | None = None, row: Mapping[str, str] | None = None) -> str:
    """The next step for a class of error, for one job; `row` is the key of the single row that it came down to."""
    words = _words(error_class or "").replace("{job}", "" if job is None else f" {job}")
    if row is None:
        return words
    return f"{words} (the row: {', '.join(f'{column} = {text!r}' for column, text in row.items())})"


def _words(error_class: str) -> str:
    if (first := FIRST.get(error_class)) is None:
        return WITHOUT_RETRY.get(error_class, OTHERWISE)
    smaller = ", or with --smaller" if error_class in SMALLER_HELPS else ""
    return f"{first}, then `replank retry{{job}}`{smaller} and run again{OR_ELSE.get(error_class, '')}"


def first_step(error_class: str | None) -> str:
    """What to do before jobs of this class of error are tried again."""
    return FIRST.get(error_class or "", "remove the cause").replace("{job}", " JOB")
