"""Which pictures the report has: facts become bars."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from markupsafe import Markup

from monitoring.report.changes import TableChange
from monitoring.report.charts import Column, Pair, Span, columns, pairs, timeline
from monitoring.report.facts import Facts
from monitoring.report.speed import ComparedQuery
from monitoring.report.verdict import duration, number, percent, size
from replank.wording import counted, longest_wait
from sql.ledger.tables.conversion_sets import ConversionSet

MOST_TABLES = 15
KINDS = {"copy": "copied", "backfill": "copied", "verify": "compared"}


def _since(facts: Facts, moment: datetime) -> float:
    return max((moment - facts.run.created_at).total_seconds(), 0.0)


def _total(facts: Facts) -> float:
    return _since(facts, facts.ended_at)


def of_time(facts: Facts) -> Markup | str:
    """Phases and steps; the stages of the data migration below its step; a line where tables were swapped."""
    spans: list[Span] = []
    for step in facts.steps:
        if step.started_at is None or step.started_at > facts.ended_at:
            continue
        spans.append(_span(facts, f"{step.name}, phase {step.phase}", "step", step.started_at, step.finished_at))
        if step.name == facts.run.plan.steps.carrier:
            spans += [_span(facts, f"· {name}", "stage", *found) for name, found in facts.stages.items()]
    if not spans:
        return ""
    spans += [_span(facts, "waited for the operator", "wait", start, end) for start, end in _waits(facts)]
    if facts.after is not None and facts.after.taken_at <= facts.ended_at:
        end = facts.after.taken_at + timedelta(seconds=facts.after.seconds)
        what = "measured again" if facts.after.audit is None else "measured again, audit log proved"
        spans.append(_span(facts, what, "stage", facts.after.taken_at, end))
    marks = [
        (_since(facts, one.swapped_at), f"set {one.set_no} swapped") for one in facts.sets if one.swapped_at is not None
    ]
    return timeline(spans, marks, seconds=_total(facts), label="When each step and stage began and ended")


STILL_WAITING = ("needs_operator", "gate")
"""Events that come while a run waits for the operator: none of them has resumed it."""


def _waits(facts: Facts) -> list[tuple[datetime, datetime | None]]:
    """From each call for the operator until the run continues; the end is None where there is none yet."""
    found: list[tuple[datetime, datetime | None]] = []
    since: datetime | None = None
    for event in facts.events:
        if event.kind == "needs_operator":
            since = since or event.at
        elif since is not None and event.kind not in STILL_WAITING:
            found.append((since, event.at))
            since = None
    return found if since is None else [*found, (since, None)]


def _span(facts: Facts, name: str, kind: str, start: datetime, end: datetime | None) -> Span:
    until = min(end or facts.ended_at, facts.ended_at)
    words = duration((until - start).total_seconds()) + ("" if end else ", not ended")
    return Span(name=name, kind=kind, words=words, start=_since(facts, start), end=_since(facts, until))


def of_rows(facts: Facts) -> Markup | str:
    """Rows per second, by the moment at which their jobs ended."""
    by_span: dict[int, dict[str, int]] = defaultdict(lambda: {"copied": 0, "compared": 0})
    for kind, span, rows in facts.rows_over_time:
        by_span[span][KINDS[kind]] += rows
    if not any(sum(parts.values()) for parts in by_span.values()):
        return ""
    found = [
        Column(
            start=span * facts.span_s,
            end=(span + 1) * facts.span_s,
            parts=[(kind, rows / facts.span_s) for kind, rows in parts.items()],
            words=", ".join(f"{number(rows / facts.span_s)} rows/s {kind}" for kind, rows in parts.items() if rows),
        )
        for span, parts in sorted(by_span.items())
    ]
    highest = max(sum(value for _, value in one.parts) for one in found)
    words = f"highest: {number(highest)} rows/s"
    return columns(found, seconds=_total(facts), highest_words=words, label="Rows per second over time")


def of_window(facts: Facts) -> Markup | str:
    """How many jobs might be in flight, from one decision to the next."""
    if not facts.window:
        return ""
    ends = [_since(facts, change.at) for change in facts.window[1:]] + [_total(facts)]
    found = [
        Column(
            start=_since(facts, change.at),
            end=max(end, _since(facts, change.at)),
            parts=[("copied", float(change.now))],
            words=f"{change.now} of {change.maximum}: {change.reason}",
        )
        for change, end in zip(facts.window, ends, strict=True)
    ]
    words = f"highest: {max(change.now for change in facts.window)} of {counted(facts.window[-1].maximum, 'job')}"
    return columns(found, seconds=_total(facts), highest_words=words, label="Jobs that might be in flight over time")


def of_locks(facts: Facts) -> Markup | str:
    """How long the swap of each set waited for its locks, and held them."""
    found = [
        Pair(
            name=f"set {one.set_no}",
            note=_members(facts.members.get(one.set_no, [])),
            before=one.lock_wait_ms,
            after=one.lock_hold_ms,
            before_words=f"waited {_ms(one.lock_wait_ms)}",
            after_words=f"held {_ms(one.lock_hold_ms)}",
        )
        for one in facts.sets
        if one.lock_hold_ms is not None
    ]
    if not found:
        return ""
    missed = [f"set {one.set_no}: {words}" for one in facts.sets if (words := attempts_words(one))]
    below = Markup('<p class="soft">{}</p>').format("; ".join(missed)) if missed else Markup("")
    return pairs(found, label="Locks of the swaps") + below


def attempts_words(one: ConversionSet) -> str:
    """What the attempts cost others, all of them together."""
    missed = f"{counted(one.attempts, 'attempt')} missed" if one.attempts else ""
    return ", ".join(filter(None, (missed, longest_wait(one.longest_wait_ms))))


def _members(names: list[str]) -> str:
    shown = [name.split(".", 1)[-1] for name in names]
    return f"{len(shown)} tables" if len(shown) > 1 else "".join(shown)


def _ms(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f} ms"


def of_sizes(found: list[TableChange]) -> Markup | str:
    """The largest tables with their indexes, before and after."""
    sized = [one for one in found if one.before is not None and one.after is not None]
    largest = sorted(sized, key=lambda one: -_bytes(one)[0])[:MOST_TABLES]
    return pairs([_size_pair(one) for one in largest], label="Sizes before and after") if largest else ""


def _bytes(one: TableChange) -> tuple[int, int]:
    assert one.before is not None
    assert one.after is not None
    return one.before.table_bytes + one.before.index_bytes, one.after.table_bytes + one.after.index_bytes


def _size_pair(one: TableChange) -> Pair:
    assert one.before is not None
    assert one.after is not None
    before, after = _bytes(one)
    change = f", {percent(abs(1 - after / before))} {'less' if after <= before else 'more'}" if before else ""
    return Pair(
        name=one.name,
        before=before,
        after=after,
        before_words=size(before),
        after_words=size(after) + change,
    )


def of_queries(found: list[ComparedQuery]) -> Markup | str:
    """Medians before and after."""
    if not found:
        return ""
    return pairs([_query_pair(query) for query in found], label="Medians of the queries before and after")


def _query_pair(query: ComparedQuery) -> Pair:
    after = None if query.after is None else query.after.median_ms
    change = "" if query.faster is None else f", {percent(abs(query.faster))} {'less' if query.faster >= 0 else 'more'}"
    return Pair(
        name=query.name,
        note="may be chance" if query.faster is not None and query.scattered else "",
        before=query.before.median_ms,
        after=after if query.faster is not None else None,
        before_words=_figure(query.before.median_ms, query.no_figure),
        after_words=_figure(after if not query.failure else None, query.failure or "not measured") + change,
    )


def _figure(value: float | None, otherwise: str) -> str:
    return f"{value:.2f} ms" if value is not None else otherwise or "no figure"
