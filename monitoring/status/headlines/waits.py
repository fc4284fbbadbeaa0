"""What a run waits for, though nothing of it is wrong: a pause, the governor, gates, the cutover."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from monitoring.status.headlines.headline import Headline
from replank.values.states import TableState
from replank.wording import counted, verb
from sql.ledger.runs.restraints import Place

if TYPE_CHECKING:
    from monitoring.status.status import Status
    from monitoring.status.table_progress import TableProgress


def of_waits(status: Status, *, are_drained: bool) -> Iterator[Headline]:
    """`are_drained`: workers drain the tables that are ready."""
    run = status.run
    if run.paused:
        yield _paused(status)
    elif run.window_now == 0 and status.leader is not None:
        yield Headline(weight="look", kind="governor", words="The governor starts no jobs", why=run.window_reason)
    if status.resent.costs_time:
        yield Headline(
            weight="look",
            kind="messages_lost",
            words="The broker loses messages, which slows the run",
            why=status.resent.words,
        )
    open_gates = [gate for gate in status.gates if gate.is_open]
    if open_gates and all(table.state == str(TableState.PLANNED) for table in status.tables):
        reasons = "; ".join(f"{gate.name}: {gate.reason}" for gate in open_gates)
        yield Headline(weight="look", kind="gates", words="The data migration waits for its gates", why=reasons)
    yield from of_cutover(status, are_drained=are_drained)


def _paused(status: Status) -> Headline:
    """Who, since when, why: of the pause that holds the whole run."""
    held = next((r for r in status.restraints if r.kind == "pause" and r.place == Place()), None)
    panicked = held is not None and held.cause == "panic"
    if held is None:
        who, why = "an operator", ""
    else:
        who = held.by
        reason = f": {held.reason}" if held.reason else ""
        why = f"Since {held.since:%Y-%m-%d %H:%M:%S} UTC{reason}. "
    return Headline(
        weight="look",
        kind="panicked" if panicked else "paused",
        words=f"Stopped by {who} (panic)" if panicked else f"Paused by {who}",
        why=f"{why}Capture continues, so no change is lost.",
        button="resume",
        command="replank resume",
    )


def of_cutover(status: Status, *, are_drained: bool) -> Iterator[Headline]:
    """Tables that are ready and not swapped yet, and sets whose attempts missed."""
    run = status.run
    ready = _ready(status)
    if run.hold_cutover and ready:
        by = status.signs.held_by if status.signs is not None else ""
        until = (
            "They are verified, and drained until then."
            if are_drained
            else "They are verified. No worker drains them at present."
        )
        yield Headline(
            weight="look",
            kind="cutover_held",
            words=f"{len(ready)} of {counted(len(status.tables), 'table')} {verb(len(ready), 'waits')} "
            "for you to start the cutover",
            why=f"{until} {by}".strip(),
            button="release",
            command="replank cutover",
        )
    elif status.cutover_window is not None and status.cutover_window.reason and ready:
        yield Headline(
            weight="look",
            kind="cutover_window",
            words="The cutover waits for a cutover window",
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
    """Tables that could be swapped now: those of sets in which every one is ready."""
    late = {table.set_no for table in status.tables if table.state != str(TableState.READY)}
    return [table for table in status.tables if table.set_no not in late]
