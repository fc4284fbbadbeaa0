"""The status for a terminal: bars, rate, ETA, and the reason for the present pace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from monitoring.status.caches import rates
from monitoring.status.rollback_words import rollback_words
from monitoring.status.status import Status
from monitoring.status.table_progress import TableProgress
from replank.values.states import OPEN_RUNS
from replank.wording import counted, longest_wait, seconds

SHOWN_TABLES = 30
BARS = (30, 10)
GAP = 2
"""Between two columns of the table."""
COLOUR = {
    "done": "green",
    "swapped": "green",
    "validating": "green",
    "ready": "cyan",
    "needs_operator": "red",
    "running": "yellow",
}
SIGNS = {"bad": "!", "look": "i", "good": "✓"}
WEIGHTS = {"bad": "red", "look": "magenta", "good": "green"}


def render(status: Status) -> RenderableType:
    """One screen; of a run that is rolled back, its record."""
    if status.run.state == "rolled_back":
        return _head(status)
    return Group(
        _head(status),
        *_restraints(status),
        *_gates(status),
        *_steps(status),
        _Tables(status=status),
        *_quarantined(status),
        *_cutovers(status),
        *_caches(status),
        *_already(status),
        *_problems(status),
    )


def verdict(status: Status, *, most: int = 4) -> Text:
    """The headlines, a line each, and what they stand on with its age."""
    words = Text()
    for place, one in enumerate(status.headlines[:most]):
        words.append("\n" if place else "")
        words.append(f"{SIGNS[one.weight]} {one.words}", style=f"bold {WEIGHTS[one.weight]}")
        words.append(f": {one.why}" if one.why else "", style=WEIGHTS[one.weight])
        words.append(f" (`{one.command}`)" if one.command else "", style=WEIGHTS[one.weight])
    seen = evidence(status)
    return words.append(f"\n{seen}", style="dim") if seen else words


def evidence(status: Status) -> str:
    """What was seen and when: the last job that was done, the broker, processes by queue; of an open run only."""
    signs = status.signs
    if signs is None or status.run.state not in OPEN_RUNS:
        return ""
    parts = [f"seen {signs.now:%H:%M:%S} UTC"]
    if signs.finished_at is not None:
        parts.append(f"last job finished {seconds(signs.age_s(signs.finished_at))} ago")
    if signs.broker is not None:
        answers = "answered" if signs.broker.answers else "did not answer"
        parts.append(f"broker {answers} {seconds(signs.age_s(signs.broker.seen_at))} ago")
    processes = ", ".join(f"{queue.name.removeprefix('replank.')} {queue.processes}" for queue in signs.queues)
    parts.append(f"worker processes by queue: {processes}")
    if signs.logins is not None:
        parts.append(f"wrong logins at the page: {signs.logins.count:,}")
    return "; ".join(parts)


def _head(status: Status) -> RenderableType:
    run = status.run
    words = verdict(status)
    words.append(f"\n{status.database} on {status.host}\n" if status.database else "\n", style="dim")
    words.append(f"run {run.run_id} ", style="bold")
    words.append(str(run.state), style=COLOUR.get(str(run.state), "white"))
    if run.paused:
        words.append(" (paused)", style="magenta")
    if run.hold_cutover:
        words.append(" (cutover held)", style="magenta")
    rollback_text = rollback_words(status)
    if run.state == "rolled_back":
        return words.append(f"\n{rollback_text}" if rollback_text else "")
    words.append(f"  {status.rate_rows_s:,.0f} rows/s")
    if status.eta_s is not None:
        low, high = status.eta_s
        words.append(f"  left: {seconds(low)} to {seconds(high)}")
    if status.preparing is not None:
        words.append(f"\n{status.preparing.words}", style="magenta" if status.preparing.alive else "red")
    if rollback_text:
        words.append(f"\n{rollback_text}", style="magenta")
    words.append(f"\nwindow {run.window_now}/{run.window_max}: {run.window_reason}")
    if status.workers is not None:
        words.append(f"\nworkers: {status.workers.processes}, recommended {status.workers.recommended}: ")
        words.append(status.workers.reason)
    if status.resent.words:
        words.append(f"\n{status.resent.words}", style="red" if status.resent.costs_time else "yellow")
    for refused in status.refused:
        words.append(f"\n! {refused.words}", style="red")
    if run.plan.steps.off:
        words.append(f"\nsteps off: {', '.join(run.plan.steps.off)}")
    numbers = ", ".join(f"{count:,} {state}" for state, count in status.jobs.items() if count)
    words.append(f"\njobs: {numbers or 'none yet'}")
    if status.cutover_window is not None and status.cutover_window.reason:
        words.append(f"\ncutover held: {status.cutover_window.reason}", style="magenta")
    if status.rollback_facts is not None:
        words.append(f"\nreverse capture: {counted(status.rollback_facts.waiting, 'change')} waiting")
        for warning in status.rollback_facts.warnings:
            words.append(f"\n! {warning}", style="red")
    return words


@dataclass(frozen=True, kw_only=True)
class _Tables:
    """Rows and state are never cut, names never lost: where there is no room, "reason" gives way, then the bar."""

    status: Status

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = [t for t in self.status.tables if t.state != "done"] + [
            t for t in self.status.tables if t.state == "done"
        ]
        more = len(shown) - SHOWN_TABLES
        shown = shown[:SHOWN_TABLES]
        rows = [f"{entry.rows_done:,}/{entry.rows_total:,}" for entry in shown]
        total = _total(self.status)
        fixed = max(map(len, ["state", *(e.state for e in shown)])) + max(map(len, [total, *rows])) + 2 * GAP
        names = max(map(len, ["table", *(entry.name for entry in shown)]))
        left = options.max_width - fixed - names
        bar = next((cells for cells in BARS if left >= cells + GAP), 0)
        left -= bar + GAP if bar else 0
        whole = left >= max(map(len, ["", *(entry.why for entry in shown)])) + GAP
        table = Table(box=None, pad_edge=False, expand=False)
        table.add_column("table", overflow="fold")
        table.add_column("state", no_wrap=True)
        table.add_column("rows", justify="right", no_wrap=True)
        for heading in ([""] if bar else []) + (["reason"] if whole else []):
            table.add_column(heading, no_wrap=True)
        for entry, numbers in zip(shown, rows, strict=True):
            state = Text(entry.state, style=COLOUR.get(entry.state, "white"))
            cells: list[RenderableType] = [_bar(entry.share, bar)] if bar else []
            table.add_row(Text(entry.name), state, numbers, *cells, *([Text(entry.why, style="dim")] if whole else []))
        if more > 0:
            table.add_row(f"… and {more} more", "", "")
        table.add_row("all", "", total, *([_bar(self.status.share, bar)] if bar else []))
        yield table
        if not whole:
            yield from _reasons(shown)


def _bar(share: float, cells: int) -> ProgressBar:
    return ProgressBar(total=1.0, completed=share, width=cells)


def _total(status: Status) -> str:
    return f"{sum(t.rows_done for t in status.tables):,}/{sum(t.rows_total for t in status.tables):,}"


def _reasons(shown: Sequence[TableProgress]) -> list[RenderableType]:
    """Under the table, where it has no room for them: each reason once."""
    by_reason: dict[str, list[str]] = {}
    for entry in shown:
        by_reason.setdefault(entry.why, []).append(entry.name)
    return [Text(f"{', '.join(names)}: {why}", style="dim") for why, names in by_reason.items() if why]


def _restraints(status: Status) -> list[RenderableType]:
    """A line for each pause and limit, with the command that takes it away, and for each job that was left out."""
    shown: list[RenderableType] = [Text(f"{r.words}  (`{r.freed_by}`)", style="magenta") for r in status.restraints]
    for job in status.left_out[:SHOWN_TABLES]:
        shown.append(Text(f"left out: job {job.job_id}, {job.kind} of {job.name}: {job.reason}", style="yellow"))
    return shown


def _gates(status: Status) -> list[RenderableType]:
    """A line for each gate that is open, or that was overridden."""
    return [
        Text(f"gate {gate.name} {gate.state}: {f'by {gate.by}, ' if gate.by else ''}{gate.reason}", style="magenta")
        for gate in status.gates
        if gate.state != "passed"
    ]


def _steps(status: Status) -> list[RenderableType]:
    """A line for each step that is a script."""
    shown: list[RenderableType] = []
    for step in status.steps:
        state = "done" if step.finished else "running" if step.name == status.step[0] else "waits"
        line = Text(f"step {step.name} ")
        line.append(state, style=COLOUR.get(state, "white"))
        line.append(f"  {step.blocks_done}/{counted(step.blocks, 'block')}")
        shown.append(line)
    return shown


def _quarantined(status: Status) -> list[RenderableType]:
    """A line for each table with rows in quarantine."""
    quarantined = [table for table in status.tables if table.rows_quarantined][:SHOWN_TABLES]
    return [
        Text(
            f"{table.name}: {counted(table.rows_quarantined, 'row', 'is')} quarantined",
            style="yellow",
        )
        for table in quarantined
    ]


def _caches(status: Status) -> list[RenderableType]:
    """A line for each cache, and one for how well the swapped tables are hit."""
    shown: list[RenderableType] = []
    for cache in status.caches.caches[:SHOWN_TABLES]:
        line = Text(f"cache {cache.name} ")
        line.append(cache.state, style=COLOUR.get(cache.state, "white"))
        line.append(f"  {cache.jobs_done}/{counted(cache.jobs_total, 'job')}")
        hits = rates(cache.before, cache.after)
        line.append(f"  hits {hits}" if hits else "")
        shown.append(line)
    hits = rates(status.caches.before, status.caches.after)
    return [*shown, Text(f"blocks of the tables found in memory: {hits}")] if hits else shown


def _cutovers(status: Status) -> list[RenderableType]:
    """A line for each set whose cutover was tried: what it cost others."""
    shown: list[RenderableType] = []
    for one in status.sets[:SHOWN_TABLES]:
        if not one["swapped"] and not one["attempts"]:
            continue
        line = Text(f"set {one['set']} ")
        line.append("swapped" if one["swapped"] else "not swapped yet", style="green" if one["swapped"] else "yellow")
        line.append(f"  {counted(one['attempts'], 'attempt')} missed")
        line.append("" if one["chance"] is None else f"  chance of the last one {one['chance']:.0%}")
        waited = longest_wait(one["longest_wait_ms"])
        line.append(f"  {waited}" if waited else "")
        shown.append(line)
    return shown


def _already(status: Status) -> list[RenderableType]:
    """A line for each part of the plan that was there before the run."""
    lines = [Text(f"already done  {place}: {words}", style="dim") for place, words in status.already[:SHOWN_TABLES]]
    more = len(status.already) - SHOWN_TABLES
    return [*lines, Text(f"… and {more} more that were already done", style="dim")] if more > 0 else [*lines]


def _problems(status: Status) -> list[RenderableType]:
    problems = [t.problem for t in status.tables if t.problem] + [s["problem"] for s in status.sets if s["problem"]]
    problems += [cache.problem for cache in status.caches.caches if cache.problem]
    if status.asks:
        problems.insert(0, status.asks)
    return [Text(f"! {problem}", style="red") for problem in dict.fromkeys(problems)]
