"""How many of the values that were counted are recent: whether clients may still write them.

By a column that says when a row was made or changed, if there is one; else by the end of the table's file, where new
rows usually come; otherwise it is unknown, and reported so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from producer.planning.prepared_run import Subject
from replank.values.table_spec import ColumnSpec
from sql.catalogue.catalogue import LiveColumn
from sql.checks.value_audit import RECENT_DAYS, Recency, Recent

GO_ON = "Clients may still write them: make sure that they stop before the cutover"

FEWEST_BLOCKS = 20
"""Below this the last tenth of a table says nothing."""

_TIMES = ("timestamptz", "timestamp", "date")
_ENDING = "(at|on|date|time|datetime|timestamp|ts|utc)?"
_MADE = re.compile(
    r"(date|time)?(created?|creation|inserted?|added|joined|registered|recorded|received|logged|occurred)"
    + _ENDING
    + r"|event(at|date|time)|at|ts|timestamp|time"
)
_CHANGED = re.compile(r"(date|time|last)*(updated?|modified|modification|changed?|edited|touched)" + _ENDING)
_NOW = re.compile(
    r"\b(now|(clock|statement|transaction)_timestamp)\(\)|\bCURRENT_(TIMESTAMP|DATE)\b|\bLOCALTIMESTAMP\b"
)


def recency_of(subject: Subject, column: ColumnSpec) -> Recency:
    """By what the rows are told in which a value of this column was written lately.

    A key is written with its row, other columns may be written later.
    """
    made = next((c.name for c in subject.live.columns if _says(c, _MADE)), None)
    made = made or next((c.name for c in subject.live.columns if _is_time(c) and _starts_now(c)), None)
    changed = next((c.name for c in subject.live.columns if _says(c, _CHANGED)), None)
    told = (made or changed) if column.name in subject.live.key else (changed or made)
    if told is not None:
        return Recency(column=told)
    blocks = subject.live.longest_heap
    # The ends of partitions say nothing: which of them is the newest is not known here.
    by_place = not subject.live.partitioned and blocks >= FEWEST_BLOCKS
    return Recency(first_block=blocks - blocks // 10) if by_place else Recency()


def _says(column: LiveColumn, names: re.Pattern[str]) -> bool:
    return _is_time(column) and names.fullmatch(column.name.replace("_", "").lower()) is not None


def _is_time(column: LiveColumn) -> bool:
    return column.base_name in _TIMES


def _starts_now(column: LiveColumn) -> bool:
    changes = _CHANGED.fullmatch(column.name.replace("_", "").lower())
    return changes is None and _NOW.search(column.present_default or "") is not None


def recent_words(recency: Recency, recent: Recent) -> str:
    """The end of a sentence about counted values."""
    if not recency.known:
        return "; how many are recent is unknown: no column has the time of an insert"
    some = f"{recent.count:,} of them" if recent.count else "none of them"
    if not recency.column:
        return f"; {some} in the last tenth of the table's blocks, where new rows usually are"
    rows = "in rows" if recent.count else "in a row"
    newest = _day(recent)
    words = f"; {some} {rows} of the last {RECENT_DAYS} days ({recency.column})"
    words += f", the newest of {newest}" if newest else ""
    return words + (f"; {recent.undated:,} without a time" if recent.undated else "")


def recent_hint(recent: Recent) -> str:
    """What to do where some are recent; empty where none are, or it is unknown."""
    return f" {GO_ON}." if recent.count else ""


def recent_details(recency: Recency, recent: Recent) -> Mapping[str, Any]:
    """For programs: None where it is not known, or does not apply."""
    dated = recency.column != ""
    return {
        "count": recent.count if recency.known else None,
        "by": recency.column or ("blocks" if recency.known else None),
        "days": RECENT_DAYS if dated else None,
        "newest": _day(recent) if dated else None,
        "undated": recent.undated if dated else None,
    }


def _day(recent: Recent) -> str | None:
    """The newest day; None where no row has one."""
    if recent.newest_s is None:
        return None
    if math.isinf(recent.newest_s):
        return "infinity" if recent.newest_s > 0 else "-infinity"
    try:
        return datetime.fromtimestamp(recent.newest_s, tz=UTC).date().isoformat()
    except (ValueError, OverflowError):
        # PostgreSQL's years go further than Python's.
        return "a year beyond 9999" if recent.newest_s > 0 else "a year before Christ"
