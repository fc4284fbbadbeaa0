"""The six success criteria, each with its figure, its target, how it was measured, and whether it is met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from monitoring.report.audit_trail import audit_trail
from monitoring.report.facts import Facts
from monitoring.report.loss import zero_data_loss
from monitoring.report.speed import Speed
from monitoring.report.uuid_fields import uuid_fields
from monitoring.report.verdict import Criterion, number, percent, undecided
from replank.values.states import RunState
from replank.wording import counted, verb

FEWEST_LOOKUPS = 100
"""Below this, a hit rate says nothing."""

MET_WORDS = {True: "met", False: "not met", None: "undecided"}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All criteria, and what the page says of them first."""

    criteria: tuple[Criterion, ...]

    @property
    def sentence(self) -> str:
        met = sum(c.met is True for c in self.criteria)
        missed = sum(c.met is False for c in self.criteria)
        unknown = len(self.criteria) - met - missed
        parts = [f"{met} of {len(self.criteria)} success criteria are met"]
        if missed:
            parts.append(f"{missed} {verb(missed, 'is')} not met")
        if unknown:
            parts.append(f"{unknown} could not be decided")
        return ", ".join(parts)

    def to_json(self) -> list[dict[str, Any]]:
        return [criterion.to_json() for criterion in self.criteria]


def judge(facts: Facts) -> Verdict:
    return Verdict(
        criteria=(
            uuid_fields(facts),
            zero_data_loss(facts),
            performance(facts),
            audit_trail(facts),
            cache_hits(facts),
            application_errors(facts),
        )
    )


def performance(facts: Facts) -> Criterion:
    """The median over the named queries of how much less time each takes."""
    target = facts.run.plan.success.faster
    speed = facts.speed
    met: bool | None = None
    if not speed.timed:
        shown = "no query is named in the plan" if facts.before else "nothing was measured before the run"
    elif facts.after is None:
        shown = facts.not_yet
    elif speed.median_faster is None and not speed.failures:
        shown = "no query could be timed before the run"
    else:
        met = speed.median_faster is not None and speed.median_faster > target and not speed.failures
        if met and (speed.surely_faster or 0) <= target:
            met = None
        shown = _speed_words(speed)
    return Criterion(
        criterion=f"Performance improves by more than {percent(target)}",
        measured=speed.median_faster if facts.after else None,
        shown=shown,
        target=target,
        target_shown=f"more than {percent(target)} less time",
        met=met,
        how=(
            f"Each query of the plan was executed {counted(facts.run.plan.success.repeat, 'time')} before the first "
            "write of the run and again when all tables were swapped, in rounds over all queries, after a round that "
            "only warms up, in read-only transactions. A query's time is planning and execution as the server counts "
            "them, without network and client; its figure is 1 - median after / median before. The criterion is the "
            "median of these figures. A query that fails, or that found rows before and finds none now, is a failure, "
            "and then the criterion is not met. Where the target is reached only with queries whose times scatter so "
            "much that their difference may be chance, it is undecided: repeat more often (success.repeat). New "
            "tables are also freshly packed: part of a gain can be that."
        ),
        names=tuple(f"{query.name}: {query.failure}" for query in speed.failures),
    )


def _speed_words(speed: Speed) -> str:
    before, after = speed.total_ms
    words = []
    if speed.median_faster is not None and speed.total_faster is not None:
        words.append(
            f"median of {counted(len([q for q in speed.timed if q.faster is not None]), 'query')}: "
            f"{_less(speed.median_faster)}; all together {before:.1f} ms before, {after:.1f} ms after "
            f"({_less(speed.total_faster)})"
        )
    scattered = [query for query in speed.timed if query.faster is not None and query.scattered]
    if scattered:
        words.append(f"{len(scattered)} of them scatter so much that their difference may be chance")
    if speed.failures:
        words.append(f"{len(speed.failures)} no longer work: {', '.join(q.name for q in speed.failures)}")
    left_out = [query.name for query in speed.timed if query.no_figure]
    if left_out:
        words.append(f"without a figure before the run: {', '.join(left_out)}")
    return "; ".join(words)


def _less(share: float) -> str:
    return f"{percent(share)} less time" if share >= 0 else f"{percent(-share)} more time"


def cache_hits(facts: Facts) -> Criterion:
    """The caches' own counters; blocks of tables where there are none."""
    target = facts.run.plan.success.hit_rate
    title = f"Cache hit rate above {percent(target)}"
    counted = [hits for hits in facts.hits if hits.counts]
    source = counted or facts.hits
    how = (
        "The permission cache's own counters since it was made, and the counters that the plan names for its caches. "
        if counted
        else "No cache has counters of its own, so this is the share of the swapped tables' blocks that were found in "
        "the server's memory. It holds what the rebuild itself read: a floor. "
    ) + f"Where there are several, the lowest counts. Fewer than {FEWEST_LOOKUPS} lookups decide nothing."
    rated = [hits for hits in source if hits.rate is not None]
    shown = "; ".join(f"{h.name}: {percent(h.rate or 0)} of {number(h.lookups)} lookups" for h in rated)
    if not rated:
        return undecided(title, "no cache has counted anything", how, target=target)
    lowest = min(rated, key=lambda hits: hits.rate or 0)
    enough = all(hits.lookups >= FEWEST_LOOKUPS for hits in rated)
    return Criterion(
        criterion=title,
        measured=lowest.rate,
        shown=shown if enough else f"{shown}: too few lookups",
        target=target,
        target_shown=f"above {percent(target)}",
        met=(lowest.rate or 0) > target if enough else None,
        how=how,
    )


def application_errors(facts: Facts) -> Criterion:
    """What the application says; the server's counters are shown beside it and decide nothing."""
    statement = facts.errors
    evidence = facts.activity_words
    how = (
        "From the file given with --errors, which the application or its monitoring writes. The server's own "
        "counters since the run began are evidence only: its rollbacks are also those of Replank's own probes and of "
        "attempts that were rolled back, and an error in the application need not reach the database."
    )
    if statement is None or statement.checked == 0:
        why = (
            "not measured: no file was given with --errors"
            if statement is None
            else "the file says that 0 were checked"
        )
        return undecided("No application errors", f"{why}. {evidence}".strip(), how, target=0)
    source = f" ({statement.source})" if statement.source else ""
    shown = f"{counted(statement.count, 'error')} in {counted(statement.checked, 'request')}"
    return Criterion(
        criterion="No application errors",
        measured=statement.count,
        shown=f"{shown}{source}. {evidence}".strip(),
        target=0,
        target_shown="0",
        met=statement.count == 0,
        how=how,
        names=statement.sentences,
    )


def rollback_sentence(facts: Facts) -> str:
    """Whether a run that is done can be rolled back: what `replank rollback` would do."""
    if facts.run.plan.wanted_tables and not facts.run.plan.options.reverse_capture:
        return "no rollback is possible, because the plan sets reverse_capture = false"
    if not facts.run.plan.wanted_tables:
        return "its caches stay as they are"
    if facts.rollback_facts is not None and facts.rollback_facts.closed:
        return "a rollback without loss is no longer possible"
    if any(one.mismatches for one in facts.compared):
        return "a rollback is refused while past and new tables differ"
    if facts.rollback_facts is not None and facts.rollback_facts.doubtful:
        return "whether a rollback would lose anything is not known until `replank rollback` has compared every row"
    return "a rollback without loss is still possible"


def headline(facts: Facts, verdict: Verdict) -> str:
    """The report in one sentence."""
    run = facts.run
    states = {
        RunState.RUNNING: "is under way",
        RunState.NEEDS_OPERATOR: "has stopped and needs the operator",
        RunState.DONE: f"is done; {rollback_sentence(facts)}",
        RunState.FINISHED: "is finished",
        RunState.ROLLING_BACK: "is being rolled back",
        RunState.ROLLED_BACK: "was rolled back",
    }
    return f"The migration {states[run.state]}: {verdict.sentence}."
