"""The findings for people."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.rebuild.findings import Findings, OnlineRun, Round


def show(findings: Findings, *, to_stderr: bool) -> None:
    """Targets first, then the figures behind them, then where the time went."""
    console = Console(stderr=to_stderr, width=None if Console().is_terminal else 120)
    console.print(
        f"{findings.rows:,} rows of {findings.row_bytes:.0f} bytes, PostgreSQL {findings.server_version}, "
        f"{findings.workers} workers, {len(findings.rounds)} rounds (medians)",
        markup=False,
    )
    console.print(_targets(findings))
    console.print(_figures(findings))
    console.print(_stages(findings))
    console.print(_jobs(findings.rounds[-1].online))
    for written in [r.under_writes.writes for r in findings.rounds if r.under_writes.writes]:
        console.print(
            f"application: {written.writes:,} writes, {written.rate:.0f}/s, p50 {written.p50_ms:.1f} ms, "
            f"p99 {written.p99_ms:.1f} ms, longest {written.longest_ms:.0f} ms, {len(written.errors)} errors",
            markup=False,
        )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


def _targets(findings: Findings) -> Table:
    table = _table("targets", "what", "measured", "at most", "", "met", "each round")
    for target in findings.targets():
        each = "  ".join(f"{value:.2f}" for value in target.each)
        met = "[green]yes[/]" if target.met else "[bold red]no[/]"
        table.add_row(target.name, f"{target.measured:.2f}", f"{target.at_most:.2f}", target.unit, met, each)
    return table


def _figures(findings: Findings) -> Table:
    table = _table("figures behind them", "way", "seconds", "WAL MB", "note")

    def middle(value: Callable[[Round], float]) -> float:
        return median(value(r) for r in findings.rounds)

    table.add_row(
        "offline ALTER TABLE, locked throughout",
        f"{middle(lambda r: r.offline.seconds):.2f}",
        f"{middle(lambda r: r.offline.wal_bytes) / 1e6:.0f}",
        f"with ANALYZE {middle(lambda r: r.offline.seconds_total):.2f} s",
    )
    ways: tuple[tuple[str, Callable[[Round], OnlineRun]], ...] = (
        ("Replank, until the swap", lambda r: r.online),
        (f"the same under {findings.rate:.0f} writes/s", lambda r: r.under_writes),
        ("the same with chunks of 1 MB", lambda r: r.small_chunks),
    )
    for name, way in ways:
        table.add_row(
            name,
            f"{middle(lambda r, way=way: way(r).times.seconds):.2f}",  # type: ignore[misc]
            f"{middle(lambda r, way=way: way(r).wal_bytes) / 1e6:.0f}",  # type: ignore[misc]
            f"unverified {middle(lambda r, way=way: way(r).times.seconds_unverified):.2f} s, "  # type: ignore[misc]
            f"coordinator {middle(lambda r, way=way: way(r).coordinator_peak_mb):.0f} MB",  # type: ignore[misc]
        )
    table.add_row(
        "copy and indexes alone, Replank",
        f"{middle(lambda r: r.online.times.seconds_copy_and_index):.2f}",
        "",
        f"workers busy {middle(lambda r: r.online.times.busy_share):.0%} until the swap, "
        f"handover {middle(lambda r: r.online.times.handover_ms):.1f} ms",
    )
    table.add_row(
        "copy and indexes alone, bare SQL",
        f"{middle(lambda r: r.bare.seconds):.2f}",
        "",
        f"copy {middle(lambda r: r.bare.seconds_copy):.2f} s, indexes {middle(lambda r: r.bare.seconds_index):.2f} s",
    )
    return table


def _stages(findings: Findings) -> Table:
    table = _table("the large table's stages", "stage", "seconds")
    for stage in findings.rounds[0].online.times.stages:
        table.add_row(stage, f"{median(r.online.times.stages.get(stage, 0.0) for r in findings.rounds):.3f}")
    return table


def _jobs(run: OnlineRun) -> Table:
    table = _table("jobs of the last round", "kind", "jobs", "average ms", "longest ms", "message ms")
    for kind in run.times.kinds:
        table.add_row(
            kind.kind, str(kind.jobs), f"{kind.average_ms:.1f}", f"{kind.longest_ms:.1f}", f"{kind.dispatch_ms:.1f}"
        )
    return table
