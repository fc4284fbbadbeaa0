"""`status --watch`: what an operator wants to see of a run, on one screen of whatever size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from monitoring.status.read_status import read_status
from monitoring.status.rollback_words import rollback_words
from monitoring.status.status import Status
from monitoring.status.suggestions import suggestion
from monitoring.status.table_progress import TableProgress
from monitoring.terminal.chunk_strip import strip
from monitoring.terminal.fitting import Part, fit
from monitoring.terminal.screen import COLOUR, verdict
from replank.values.states import RunState
from replank.wording import counted, seconds
from sql.ledger.jobs import failed, leased
from sql.ledger.jobs.failed import FailureCause
from sql.ledger.jobs.leased import Lease
from sql.ledger.runs import history
from sql.ledger.runs.events import Event, read_events
from sql.ledger.runs.history import StepTimes
from sql.session.connection import Connection

SHOWN_EVENTS = 40
SMALLEST_NAME = 16
STATE_CELLS = 12
BAR_CELLS = 12
WIDE = 110
"""From here on there is room for rows beside the bars."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A run, and what is beside its numbers: who works on what, what failed for which cause, what happened last."""

    status: Status
    steps: Sequence[StepTimes]
    workers: Sequence[Lease]
    causes: Sequence[FailureCause]
    events: Sequence[Event]


def read_view(connection: Connection) -> View:
    """Everything as it stands now. Raises WrongUse where there has never been a run."""
    status = read_status(connection)
    run_id = status.run.run_id
    return View(
        status=status,
        steps=history.read_steps(connection, run_id),
        workers=leased.leases(connection, run_id),
        causes=failed.causes(connection, run_id),
        events=read_events(connection, run_id, limit=SHOWN_EVENTS),
    )


def is_over(view: View) -> bool:
    """A rollback is followed for as long as a command is at work on it."""
    status = view.status
    if status.run.state is RunState.ROLLING_BACK:
        return status.leader is None
    return status.run.state is not RunState.RUNNING


def exit_code(view: View) -> int:
    """0 where the run is done, 1 where it needs the operator or is rolled back."""
    return 0 if view.status.run.state in (RunState.DONE, RunState.FINISHED) else 1


def draw(view: View, *, width: int, height: int) -> list[Text]:
    """At most `height` lines of at most `width` cells. What needs the operator is never left out."""
    parts = [
        Part(lines=_head(view), least=20),
        Part(lines=_problems(view), least=4, more="! … and {} more: `replank failures`"),
        Part(lines=_tables(view.status, width), least=5, more="… and {} more tables"),
        Part(lines=_workers(view), least=3, more="… and {} more workers"),
        Part(lines=_events(view, height), least=3, more="… {} older events"),
    ]
    return fit(parts, width=width, height=height)


def _head(view: View) -> list[Text]:
    status, run = view.status, view.status.run
    first = Text(f"run {run.run_id} ", style="bold")
    first.append(str(run.state), style=COLOUR.get(str(run.state), "white"))
    if run.paused:
        first.append(" (paused)", style="magenta")
    if run.hold_cutover:
        first.append(" (cutover held)", style="magenta")
    first.append(f"  {status.rate_rows_s:,.0f} rows/s")
    if status.eta_s is not None:
        first.append(f"  left: {seconds(status.eta_s[0])} to {seconds(status.eta_s[1])}")
    numbers = ", ".join(f"{count:,} {state}" for state, count in status.jobs.items() if count)
    lines = [*verdict(status).split("\n"), first]
    lines.append(Text(f"window {run.window_now}/{run.window_max}: {run.window_reason}"))
    rollback_text = rollback_words(status)
    if rollback_text:
        lines.append(Text(rollback_text, style="magenta"))
    if status.cutover_window is not None and status.cutover_window.reason:
        lines.append(Text(f"cutover held: {status.cutover_window.reason}", style="magenta"))
    lines += [Text(f"! {refused.words}", style="red") for refused in status.refused]
    lines += [Text(f"{held.words}; `{held.freed_by}`", style="magenta") for held in status.restraints]
    lines += [_steps(view.steps), Text(f"jobs: {numbers or 'none yet'}")]
    if status.rollback_facts is not None:
        lines.append(Text(f"reverse capture: {counted(status.rollback_facts.waiting, 'change')} waiting"))
    return lines


def _steps(steps: Sequence[StepTimes]) -> Text:
    """`steps 01 done  02 now ┃ 08 waits`: a bar stands for each barrier between two phases."""
    line, phase = Text("steps"), 0
    for step in sorted(steps, key=lambda step: step.name):
        line.append(" ┃" if phase and step.phase != phase else "")
        phase = step.phase
        number = step.name.partition("-")[0]
        if step.finished_at is not None:
            line.append(f" {number}✓", style="green")
        elif step.started_at is not None:
            line.append(f" {number}▶ {step.name.partition('-')[2]}", style="yellow")
        else:
            line.append(f" {number}·", style="dim")
    return line


def _problems(view: View) -> list[Text]:
    status = view.status
    problems = [status.asks] if status.asks else []
    problems += [
        f"{cause.jobs:,} × {cause.error_class or 'unknown'} ({cause.sqlstate or '-'}): {suggestion(cause.error_class)}"
        for cause in view.causes
    ]
    problems += [
        gate_words for gate in status.gates if gate.state == "open" for gate_words in (_gate(gate.name, gate.reason),)
    ]
    problems += [table.problem for table in status.tables if table.problem]
    problems += [one["problem"] for one in status.sets if one["problem"]]
    problems += [cache.problem for cache in status.caches.caches if cache.problem]
    problems += status.rollback_facts.warnings if status.rollback_facts is not None else []
    return [Text(f"! {words}", style="red") for words in dict.fromkeys(problems)]


def _gate(name: str, reason: str) -> str:
    return f"gate {name} is open: {reason}"


def _tables(status: Status, width: int) -> list[Text]:
    """Unfinished ones first; then caches."""
    name_cells = max(SMALLEST_NAME, min(width // 3, max((len(t.name) for t in status.tables), default=0)))
    shown = sorted(status.tables, key=lambda table: table.state == "done")
    lines = [_table(table, name_cells, width) for table in shown]
    for cache in status.caches.caches:
        line = Text(f"{cache.name[:name_cells]:<{name_cells}} ")
        line.append(f"{cache.state:<{STATE_CELLS}}", style=COLOUR.get(cache.state, "white"))
        line.append(f" cache, {cache.jobs_done}/{counted(cache.jobs_total, 'job')}")
        lines.append(line)
    return lines


def _table(table: TableProgress, name_cells: int, width: int) -> Text:
    name = table.name if len(table.name) <= name_cells else table.name[: name_cells - 1] + "…"
    line = Text(f"{name:<{name_cells}} ")
    line.append(f"{table.state:<{STATE_CELLS}} ", style=COLOUR.get(table.state, "white"))
    full = round(table.share * BAR_CELLS)
    line.append("━" * full, style="cyan")
    line.append("─" * (BAR_CELLS - full), style="dim")
    line.append(f" {100 * table.share:3.0f}% ")
    if width >= WIDE:
        line.append(f"{table.rows_done:>13,}/{table.rows_total:<13,} ")
    return line.append_text(strip(table.chunks, max(width - line.cell_len, 0)))


def _workers(view: View) -> list[Text]:
    return [
        Text(f"{lease.worker or '?'}  {lease.kind} {lease.name}  {seconds(lease.seconds)}", style="yellow")
        for lease in view.workers
    ]


def _events(view: View, height: int) -> list[Text]:
    """The newest first: what there is room for."""
    return [
        Text(
            " ".join(filter(None, (f"{event.at:%H:%M:%S}", event.actor, event.kind, event.subject, event.message))),
            style="dim",
        )
        for event in list(view.events)[::-1][:height]
    ]
