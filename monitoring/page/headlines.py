"""What an operator should know first and do next: the top of the page, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from monitoring.rollback_words import rollback_words
from monitoring.status import Status
from replank.states import RunState, TableState
from replank.wording import counted, verb

UNCLAIMED_S = 15.0
"""Messages are sent again after five seconds; three rounds without a taker mean that there is none."""

Weight = Literal["bad", "look", "good"]

IN_WORDS = {
    TableState.PLANNED: "planned",
    TableState.CAPTURED: "captured",
    TableState.COPYING: "copying",
    TableState.FIRST_DRAIN: "drained for the first time",
    TableState.INDEXING: "indexed",
    TableState.CATCHING_UP: "catching up",
    TableState.VERIFYING: "verified",
    TableState.REPAIRING: "repaired",
    TableState.READY: "ready for the cutover",
    TableState.VALIDATING: "having foreign keys validated",
    TableState.BACKFILLING: "filled in place",
    TableState.CONSTRAINING: "constrained",
}


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One thing to know, why it is so, and the button that changes it (or the command, where there is no button)."""

    weight: Weight
    words: str
    why: str = ""
    button: str = ""
    command: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the headlines look at beside the status."""

    led: bool
    sent: int
    oldest_s: float
    causes: Sequence[Mapping[str, Any]]
    workers: int | None
    """Workers that answer, None where nobody asked them."""


def headlines(status: Status, around: Surroundings) -> list[Headline]:
    """The most urgent first; the first one is the page's headline. Never empty."""
    return [*_bad(status, around), *_look(status, around)] or [_state(status)]


def _bad(status: Status, around: Surroundings) -> Iterator[Headline]:
    run = status.run
    failed = status.jobs.get("failed", 0)
    if run.state is RunState.ROLLING_BACK and status.asks:
        yield Headline(
            weight="bad",
            words="The rollback has stopped and needs the operator",
            why=status.asks,
            command="replank rollback",
        )
    if run.state is RunState.NEEDS_PERSON:
        yield Headline(
            weight="bad",
            words="The run has stopped and needs a person",
            why=run.reason,
            button="retry",
            command="replank retry, then replank run PLAN",
        )
    if failed:
        causes = len(around.causes)
        of = "one cause" if causes == 1 else counted(causes, "cause")
        yield Headline(
            weight="bad",
            words=f"{counted(failed, 'job', 'has')} failed, of {of}",
            why=f"{around.causes[0]['class']}: {around.causes[0]['message']}" if around.causes else "",
            button="failures",
        )
    if run.state in (RunState.RUNNING, RunState.ROLLING_BACK) and not around.led:
        what = "replank run PLAN" if run.state is RunState.RUNNING else "replank rollback"
        yield Headline(
            weight="bad",
            words="No coordinator is at work: nothing new begins",
            why="Whoever led has ended; the ledger has what was done.",
            command=what,
        )
    if run.state is RunState.RUNNING and run.reason:
        yield Headline(
            weight="bad",
            words="Something needs a person; the rest waits for its cutover",
            why=run.reason,
            button="retry",
            command="replank retry",
        )
    busy = status.workers is not None and status.jobs.get("leased", 0) >= max(status.workers.processes, 1)
    if run.state is RunState.RUNNING and around.sent and around.oldest_s > UNCLAIMED_S and not busy:
        nobody = around.workers == 0
        yield Headline(
            weight="bad",
            words="No worker is there" if nobody else "Workers take no messages",
            why=f"{around.sent:,} sent, the oldest waits for {around.oldest_s:.0f} s.",
            command="replank worker",
        )


def _look(status: Status, around: Surroundings) -> Iterator[Headline]:
    run = status.run
    if run.state is not RunState.RUNNING:
        return
    if run.paused:
        yield Headline(weight="look", words="Paused by an operator", why="Capture goes on.", button="resume")
    elif run.window_now == 0 and around.led:
        yield Headline(weight="look", words="The governor lets nothing begin", why=run.window_reason)
    if status.resent.costs_time:
        yield Headline(weight="look", words="The broker loses messages, which costs time", why=status.resent.words)
    open_gates = [gate for gate in status.gates if gate.is_open]
    if open_gates and all(table.state == str(TableState.PLANNED) for table in status.tables):
        reasons = "; ".join(f"{gate.name}: {gate.reason}" for gate in open_gates)
        yield Headline(weight="look", words="The data migration waits for its gates", why=reasons)
    ready = [table for table in status.tables if table.state == str(TableState.READY)]
    if run.hold_cutover and ready:
        yield Headline(
            weight="look",
            words=f"{len(ready)} of {counted(len(status.tables), 'table')} {verb(len(ready), 'waits')} "
            "for your word to cut over",
            why="They are verified, and kept in step until then.",
            button="release",
        )
    elif status.cutover_window is not None and status.cutover_window.reason and ready:
        yield Headline(weight="look", words="The cutover waits for its window", why=status.cutover_window.reason)
    problems = [s for s in status.sets if s["problem"] and not s["swapped"]]
    for one in problems[:3]:
        tried = f"after {counted(one['attempts'], 'attempt')}" if one["attempts"] else "not tried yet"
        yield Headline(weight="look", words=f"The cutover of set {one['set']} waits ({tried})", why=one["problem"])


def _state(status: Status) -> Headline:
    """One sentence for a run that nothing is wrong with."""
    run = status.run
    said = {
        RunState.NEEDS_PERSON: ("bad", "The run needs a person", run.reason),
        RunState.DONE: ("good", "Done: the new tables are live", "The past ones are kept until `replank finish`."),
        RunState.FINISHED: ("good", "Finished: the past tables are gone", ""),
        RunState.ROLLING_BACK: ("look", "Rolling back", run.reason),
        RunState.ROLLED_BACK: ("good", "Rolled back", run.reason),
    }
    told = rollback_words(status)
    if told and run.state is RunState.ROLLING_BACK and status.rollback is not None:
        return Headline(weight="look", words=f"Rolling back, {status.rollback.stage_words}", why=told)
    if told:
        weight, words, why = ("look", "A rollback was refused", told) if run.state is RunState.DONE else said[run.state]
        by = "" if status.rollback is None else f" by {status.rollback.by}"
        return Headline(weight=weight, words=f"{words}{by}", why=told)  # type: ignore[arg-type]
    if run.state in said:
        weight, words, why = said[run.state]
        return Headline(weight=weight, words=words, why=why)  # type: ignore[arg-type]
    return Headline(weight="good", words=f"Running: {_doing(status)}", why="")


def _doing(status: Status) -> str:
    """What most of the unfinished tables are at."""
    by_state: dict[TableState, int] = {}
    for table in status.tables:
        state = TableState(table.state)
        if state in IN_WORDS and state is not TableState.PLANNED:
            by_state[state] = by_state.get(state, 0) + 1
    if by_state:
        parts = (f"{counted(n, 'table', 'is')} {IN_WORDS[state]}" for state, n in by_state.items())
        return ", ".join(parts)
    if status.caches.under_way:
        return "caches are built again"
    return f"step {status.step[0]}"
