"""What an operator should know first and do next, in sentences: one verdict for `status`, page, exporter and programs.

It is earned: "running" follows from what has ended lately, from living workers on the queues that have jobs, from the
broker and the coordinator, and never from the run's state alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from monitoring.status.rollback_words import rollback_words
from replank.values.states import RunState, TableState
from replank.values.steps import DATA_PHASE
from replank.wording import counted, seconds, verb
from sql.ledger.reading.signs import Queue, Signs

if TYPE_CHECKING:
    from monitoring.status.status import Status
    from monitoring.status.table_progress import TableProgress

UNCLAIMED_S = 15.0
IDLE_SENDS = 3
"""A job that was sent so often while a worker of its queue had nothing to do is not heard."""

QUIET_S = 30.0
"""Without anything that ended or moved for so long, a run is not said to be running."""

BROKER_KNOWN_S = 15.0
"""The coordinator looks every two seconds; what it saw before this is not known any more."""

Weight = Literal["bad", "look", "good"]

Kind = Literal[
    "rollback_stopped",
    "needs_person",
    "failed",
    "no_coordinator",
    "broker",
    "problem",
    "no_worker",
    "no_consumer",
    "unheard",
    "stuck",
    "panicked",
    "paused",
    "governor",
    "messages_lost",
    "gates",
    "cutover_held",
    "cutover_window",
    "cutover_waits",
    "broker_unknown",
    "awaiting_worker",
    "quiet",
    "running",
    "done",
    "finished",
    "rolling_back",
    "rolled_back",
    "rollback_refused",
]

NOBODY_WORKS = frozenset({"no_coordinator", "broker", "no_worker", "stuck"})
"""Nothing goes on until somebody has done something: no time that is left can be told."""

IN_WORDS = {
    TableState.PLANNED: "planned",
    TableState.CAPTURED: "captured",
    TableState.COPYING: "being copied",
    TableState.FIRST_DRAIN: "being drained for the first time",
    TableState.INDEXING: "being indexed",
    TableState.CATCHING_UP: "being drained",
    TableState.VERIFYING: "being verified",
    TableState.REPAIRING: "being repaired",
    TableState.READY: "kept in step",
    TableState.SWAPPED: "swapped",
    TableState.VALIDATING: "having foreign keys validated",
    TableState.BACKFILLING: "being filled in place",
    TableState.CONSTRAINING: "being constrained",
}


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One thing to know, why it is so, and the button that changes it (or the command, where there is no button).

    `kind` is for programs; `words` may be rewritten.
    """

    weight: Weight
    kind: Kind
    words: str
    why: str = ""
    button: str = ""
    command: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def headlines(status: Status) -> list[Headline]:
    """The most urgent first; the first one is the verdict. Never empty."""
    bad = list(_bad(status))
    return [*bad, *_look(status, kept_in_step=not nobody_works(bad))] or [_rest(status)]


def nobody_works(found: list[Headline]) -> bool:
    """Whether nothing goes on until somebody has done something."""
    return any(one.kind in NOBODY_WORKS for one in found)


def _bad(status: Status) -> Iterator[Headline]:
    run, failed = status.run, status.jobs.get("failed", 0)
    if run.state is RunState.ROLLING_BACK and status.asks:
        yield Headline(
            weight="bad",
            kind="rollback_stopped",
            words="The rollback has stopped and needs the operator",
            why=status.asks,
            command="replank rollback",
        )
    if run.state is RunState.NEEDS_PERSON and status.at_barrier:
        yield Headline(
            weight="bad",
            kind="needs_person",
            words="The run has stopped before its data migration",
            why=run.reason,
            command="replank run PLAN",
        )
    elif run.state is RunState.NEEDS_PERSON:
        yield Headline(
            weight="bad",
            kind="needs_person",
            words="The run has stopped and needs a person",
            why=run.reason,
            button="retry",
            command="replank retry, then replank run PLAN",
        )
    if failed and run.state in (RunState.RUNNING, RunState.NEEDS_PERSON):
        yield _failed(status, failed)
    if run.state in (RunState.RUNNING, RunState.ROLLING_BACK) and status.leader is None:
        yield Headline(
            weight="bad",
            kind="no_coordinator",
            words="No coordinator is at work: nothing new begins",
            why=f"Its session has ended; the ledger has what was done. {_last(status.signs)}".strip(),
            command="replank run PLAN" if run.state is RunState.RUNNING else "replank rollback",
        )
    if run.state is not RunState.RUNNING:
        return
    yield from _broker(status)
    if run.reason:
        yield Headline(
            weight="bad",
            kind="problem",
            words="Something needs a person; the rest waits for its cutover",
            why=run.reason,
            button="retry",
            command="replank retry",
        )
    if not run.paused:
        yield from _workers(status)


def _failed(status: Status, failed: int) -> Headline:
    failure = None if status.signs is None else status.signs.failure
    of = "" if failure is None else ", of one cause" if failure.causes == 1 else f", of {failure.causes} causes"
    return Headline(
        weight="bad",
        kind="failed",
        words=f"{counted(failed, 'job', 'has')} failed{of}",
        why="" if failure is None else f"{failure.error_class}: {failure.message}",
        button="failures",
        command="replank failures",
    )


def _broker(status: Status) -> Iterator[Headline]:
    """What the coordinator saw of it: without one nothing is known."""
    signs = status.signs
    if signs is None or signs.broker is None or status.leader is None:
        return
    broker, age = signs.broker, signs.age_s(signs.broker.seen_at)
    if age > BROKER_KNOWN_S:
        return
    if not broker.answers:
        yield Headline(
            weight="bad",
            kind="broker",
            words="The broker does not answer: no job reaches a worker",
            why=f"So for {seconds(signs.age_s(broker.since))}, seen {seconds(age)} ago: {broker.problem.rstrip('.')}. "
            "Jobs wait in the ledger, and are sent when it answers.",
        )


def _workers(status: Status) -> Iterator[Headline]:
    """Jobs that were sent, and that nobody begins; jobs that somebody has begun, and does not work on."""
    signs = status.signs
    if signs is None:
        return
    late = [queue for queue in signs.queues if queue.late]
    deserted = [queue for queue in late if not queue.processes]
    jobs = sum(queue.sent for queue in deserted)
    if deserted and not signs.processes:
        yield Headline(
            weight="bad",
            kind="no_worker",
            words="No worker is there",
            why=f"{counted(jobs, 'job', 'was')} sent, and no worker process is connected to this database. "
            f"{_last(signs)}",
            command="replank worker",
        )
    elif deserted:
        names = ", ".join(queue.name for queue in deserted)
        yield Headline(
            weight="bad",
            kind="no_consumer",
            words=f"Nobody takes jobs of the queue {names}",
            why=f"{counted(jobs, 'job', 'was')} sent there; the workers that are there take from other queues.",
            command=f"replank worker --queues {','.join(queue.name for queue in deserted)}",
        )
    unheard = [queue for queue in late if _unheard(queue, signs)]
    if unheard:
        yield Headline(
            weight="bad",
            kind="unheard",
            words="Workers take no messages",
            why=f"{counted(sum(q.sent for q in unheard), 'job', 'was')} sent, to "
            f"{', '.join(queue.name for queue in unheard)}, up to {max(q.sends for q in unheard)} times, though "
            "processes are idle: do the workers reach the same broker?",
            command="replank worker",
        )
    if signs.leased and not signs.working and signs.quiet_s > QUIET_S:
        yield Headline(
            weight="bad",
            kind="stuck",
            words=f"Begun, and nothing works on it: {counted(signs.leased, 'job')}",
            why=f"Their sessions do nothing; the oldest was begun {seconds(signs.oldest_s)} ago. {_last(signs)}",
            command="replank worker",
        )


def _unheard(queue: Queue, signs: Signs) -> bool:
    """By workers that have nothing to do, and have been there long enough to have taken it."""
    here_s = signs.quiet_s if signs.workers_s is None else signs.workers_s
    return queue.sends >= IDLE_SENDS and queue.processes > signs.leased and min(here_s, signs.quiet_s) > UNCLAIMED_S


def _last(signs: Signs | None) -> str:
    """When something was done last."""
    if signs is None or signs.finished_at is None:
        return ""
    return f"The last job was done {seconds(signs.age_s(signs.finished_at))} ago."


def _look(status: Status, *, kept_in_step: bool) -> Iterator[Headline]:
    run = status.run
    if run.state is not RunState.RUNNING:
        return
    if run.paused:
        yield _paused(status)
    elif run.window_now == 0 and status.leader is not None:
        yield Headline(weight="look", kind="governor", words="The governor lets nothing begin", why=run.window_reason)
    if status.resent.costs_time:
        yield Headline(
            weight="look",
            kind="messages_lost",
            words="The broker loses messages, which costs time",
            why=status.resent.words,
        )
    open_gates = [gate for gate in status.gates if gate.is_open]
    if open_gates and all(table.state == str(TableState.PLANNED) for table in status.tables):
        reasons = "; ".join(f"{gate.name}: {gate.reason}" for gate in open_gates)
        yield Headline(weight="look", kind="gates", words="The data migration waits for its gates", why=reasons)
    yield from _cutover(status, kept_in_step=kept_in_step)
    yield from _unknown(status)


def _paused(status: Status) -> Headline:
    """Who, since when, why: of the pause that holds the whole run."""
    held = next((r for r in status.restraints if r.kind == "pause" and r.scope == "the whole run"), None)
    panicked = held is not None and held.cause == "panic"
    if held is None:
        who, why = "an operator", ""
    else:
        who = held.by
        reason = f": {held.reason}" if held.reason and held.reason != held.cause else ""
        why = f"Since {held.since:%Y-%m-%d %H:%M:%S} UTC{reason}. "
    return Headline(
        weight="look",
        kind="panicked" if panicked else "paused",
        words=f"Stopped by a panic of {who}" if panicked else f"Paused by {who}",
        why=f"{why}Capture goes on, so nothing is lost.",
        button="resume",
        command="replank resume",
    )


def _cutover(status: Status, *, kept_in_step: bool) -> Iterator[Headline]:
    run = status.run
    ready = _ready(status)
    if run.hold_cutover and ready:
        by = status.signs.held_by if status.signs is not None else ""
        until = "kept in step until then" if kept_in_step else "nobody keeps them in step at present"
        yield Headline(
            weight="look",
            kind="cutover_held",
            words=f"{len(ready)} of {counted(len(status.tables), 'table')} {verb(len(ready), 'waits')} "
            "for your word to cut over",
            why=f"They are verified, and {until}. {by}".strip(),
            button="release",
            command="replank cutover",
        )
    elif status.cutover_window is not None and status.cutover_window.reason and ready:
        yield Headline(
            weight="look",
            kind="cutover_window",
            words="The cutover waits for its window",
            why=status.cutover_window.reason,
        )
    for one in [s for s in status.sets if s["problem"] and not s["swapped"]][:3]:
        tried = f"after {counted(one['attempts'], 'attempt')}" if one["attempts"] else "not tried yet"
        yield Headline(
            weight="look",
            kind="cutover_waits",
            words=f"The cutover of set {one['set']} waits ({tried})",
            why=one["problem"],
        )


def _ready(status: Status) -> list[TableProgress]:
    """Tables that could change places now: those of sets in which every one is ready."""
    late = {table.set_no for table in status.tables if table.state != str(TableState.READY)}
    return [table for table in status.tables if table.set_no not in late]


def _unknown(status: Status) -> Iterator[Headline]:
    """What keeps a run from being called running, though nothing is known to be wrong."""
    signs = status.signs
    if signs is None or status.run.paused or status.leader is None:
        return
    if signs.broker is not None and signs.age_s(signs.broker.seen_at) > BROKER_KNOWN_S:
        yield Headline(
            weight="look",
            kind="broker_unknown",
            words="The coordinator has said nothing of the broker lately",
            why=f"It looked {seconds(signs.age_s(signs.broker.seen_at))} ago; one statement of its own may take long.",
        )
    sent = sum(queue.sent for queue in signs.queues)
    if sent and not signs.processes and not any(queue.late for queue in signs.queues):
        yield Headline(
            weight="look",
            kind="awaiting_worker",
            words="Waiting for a worker",
            why=f"{counted(sent, 'job', 'was')} sent a moment ago, and no worker process is connected yet.",
            command="replank worker",
        )
    waits = any(True for _ in _cutover(status, kept_in_step=True)) or status.run.window_now == 0
    if signs.quiet_s > QUIET_S and not signs.leased and status.step[1] == DATA_PHASE and not waits:
        yield Headline(
            weight="look",
            kind="quiet",
            words=f"Nothing has moved for {seconds(signs.quiet_s)}",
            why=f"No job is under way. {_last(signs)} At last: {_doing(status)}.",
        )


def _rest(status: Status) -> Headline:
    """One sentence for a run that nothing is wrong with, or that is over."""
    run = status.run
    told = rollback_words(status)
    by = f" by {status.rollback.by}" if told and status.rollback is not None else ""
    if run.state is RunState.ROLLING_BACK:
        stage = f", {status.rollback.stage_words}" if status.rollback is not None else ""
        return Headline(weight="look", kind="rolling_back", words=f"Rolling back{stage}", why=told or run.reason)
    if run.state is RunState.ROLLED_BACK:
        return Headline(weight="good", kind="rolled_back", words=f"Rolled back{by}", why=told or run.reason)
    if run.state is RunState.DONE and told:
        return Headline(weight="look", kind="rollback_refused", words=f"A rollback was refused{by}", why=told)
    if run.state is RunState.DONE:
        return Headline(
            weight="good",
            kind="done",
            words="Done: the new tables are live",
            why=f"The past ones are kept until `replank finish`. {_aside(status)}".strip(),
        )
    if run.state is RunState.FINISHED:
        return Headline(weight="good", kind="finished", words="Finished: the past tables are gone", why=_aside(status))
    return Headline(weight="good", kind="running", words=f"Running: {_doing(status)}", why=_evidence(status))


def _aside(status: Status) -> str:
    """What the new tables do not have."""
    rows = sum(table.rows_quarantined for table in status.tables)
    if not rows:
        return ""
    return f"{counted(rows, 'row', 'is')} kept aside in quarantine: the new tables lack them."


def _evidence(status: Status) -> str:
    """Why it is called running."""
    signs = status.signs
    if signs is None:
        return ""
    parts = [_last(signs)] if signs.finished_at is not None else []
    if signs.leased:
        parts.append(f"{counted(signs.leased, 'job', 'is')} under way in {counted(signs.processes, 'worker process')}.")
    return " ".join(parts)


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
