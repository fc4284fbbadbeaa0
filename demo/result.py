"""What a demonstration measured, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.application import ApplicationReport
from replank.wording import counted


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """`seconds` is from the run's begin to the last swap; `offline_seconds` the time all tables were locked."""

    rows: int
    tables: int
    workers: int
    seconds: float
    stages: Mapping[str, float]
    offline_seconds: float
    ratio: float
    verified: bool
    verification: str
    lock_wait_ms: float
    lock_hold_ms: float
    application: ApplicationReport

    @property
    def good(self) -> bool:
        return self.verified and not self.application.lost and not self.application.errors

    def to_json(self) -> dict[str, Any]:
        application = asdict(self.application)
        document = {name: value for name, value in asdict(self).items() if name != "application"}
        return {
            **document,
            "lost_writes": len(application["lost"]),
            "app_errors": len(application["errors"]),
            "writes_acknowledged": application["acknowledged"],
            "writes_found_again": application["found_again"],
            "application": application,
        }

    def show(self, console: Console) -> None:
        """The report for people."""
        console.print(self._table())
        for sentence in self.application.lost[:10]:
            console.print(f"lost: {sentence}", style="red", markup=False)
        for sentence in self.application.errors[:10]:
            console.print(f"application error: {sentence}", style="red", markup=False)

    def _table(self) -> Table:
        table = Table(title="Text ids became native uuid while the application went on", show_header=False, box=None)
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        app = self.application
        stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.stages.items())
        for name, value in (
            ("rows", f"{self.rows:,} in {self.tables} tables, {counted(self.workers, 'worker')}"),
            ("online", f"{self.seconds:.1f} s from the first step to the swap"),
            ("stages", f"{stages} (seconds; they overlap)"),
            ("locked", f"{self.lock_hold_ms:.1f} ms, after waiting {self.lock_wait_ms:.1f} ms for the locks"),
            ("offline", f"{self.offline_seconds:.1f} s of ALTER TABLE on a copy, locked throughout"),
            ("ratio", f"{self.ratio:.2f} × the offline time"),
            ("verified", f"{'yes' if self.verified else 'NO'}: {self.verification}"),
            ("writes", f"{app.transactions:,} transactions, {app.writes:,} rows written meanwhile"),
            ("found again", f"{app.found_again:,} of {app.acknowledged:,} acknowledged facts; {len(app.lost)} lost"),
            ("errors", f"{counted(len(app.errors), 'application error')}, {counted(app.retries, 'retry')}"),
            ("latency", f"p99 {app.p99_latency_ms:.0f} ms, longest {app.max_latency_ms:.0f} ms"),
        ):
            table.add_row(name, value)
        return table
