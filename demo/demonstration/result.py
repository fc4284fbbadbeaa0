"""What a demonstration measured, for programs and for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.application import ApplicationReport, Journal
from demo.datasets.data_set import DataSet, Migration
from demo.demonstration.history import History
from demo.demonstration.offline import OfflineResult
from demo.demonstration.phases import PHASES
from demo.demonstration.stage import Options
from replank.wording import counted


@dataclass(frozen=True, kw_only=True)
class Result:
    """`offline` is the same job on a copy, where the data set compares them; `criteria` are those of `replank report`,
    where it has a whole plan; `seconds_of` is how long each part of the demonstration took; `journal` is
    what the clients must find again; `history` is there where the data set has a project; `by_client` counts each
    client's transactions by phase (`phases.PHASES`)."""

    data_set: DataSet
    options: Options
    rows: int
    migration: Migration
    verified: bool
    verification: str
    offline: OfflineResult | None
    criteria: Sequence[Mapping[str, Any]]
    seconds_of: Mapping[str, float]
    application: ApplicationReport
    journal: Journal | None
    history: History | None
    by_client: Mapping[str, Mapping[str, int]]

    @property
    def good(self) -> bool:
        """Whether nothing was lost and nothing failed."""
        followed = self.history is None or self.history.good
        return self.verified and followed and not self.application.lost and not self.application.errors

    @property
    def least_of(self) -> dict[str, int]:
        """Phase -> the transactions of the client that had the fewest."""
        return {phase: min(counts[phase] for counts in self.by_client.values()) for phase in PHASES}

    @property
    def ratio(self) -> float | None:
        """Online against offline time."""
        return None if self.offline is None else self.migration.seconds / self.offline.seconds

    @property
    def overridden(self) -> Sequence[str]:
        whole = self.data_set.whole_plan
        return () if whole is None or self.options.rehearse else whole.overridden

    @property
    def unmet(self) -> list[str]:
        """The criteria that are not met, or could not be decided, in words."""
        return [f"{one['criterion']}: {one['shown']}" for one in self.criteria if one["met"] is not True]

    def to_json(self) -> dict[str, Any]:
        """`offline_seconds` and `ratio` are there where both ways are compared; `criteria` and all that
        follows, with a whole plan."""
        application = asdict(self.application)
        # One number for each transaction: counted above all that.
        del application["ended_at"]
        document: dict[str, Any] = {
            "rows": self.rows,
            "workers": self.options.workers,
            **asdict(self.migration),
            "verified": self.verified,
            "verification": self.verification,
            "seconds_of": self.seconds_of,
        }
        if self.offline is not None and self.ratio is not None:
            document |= {"offline_seconds": round(self.offline.seconds, 3), "ratio": round(self.ratio, 3)}
        if self.data_set.whole_plan is not None:
            document |= {
                "criteria": self.criteria,
                "overridden": self.overridden,
                "there_and_back": self.options.there_and_back,
                "report_file": str(self.options.out),
            }
        if self.history is not None:
            document |= {"history": asdict(self.history)}
        return {
            **document,
            "by_client": self.by_client,
            "lost_writes": len(application["lost"]),
            "app_errors": application["failed"],
            "writes_acknowledged": application["acknowledged"],
            "writes_found_again": application["found_again"],
            "application": application,
        }

    def show(self, console: Console) -> None:
        """The result for people. What is not met is named."""
        table = Table(title=self.data_set.title, show_header=False, box=None)
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        for name, value in self._lines():
            table.add_row(name, value)
        console.print(table)
        for sentence in self.unmet:
            console.print(f"not met: {sentence}", style="yellow", markup=False, soft_wrap=True)
        for sentence in self.application.lost[:10]:
            console.print(f"lost: {sentence}", style="red", markup=False)
        for sentence in self.application.errors[:10]:
            console.print(f"application error: {sentence}", style="red", markup=False)
        if self.data_set.whole_plan is not None:
            console.print(f"The report: {self.options.out.absolute()}", markup=False, soft_wrap=True)

    def _lines(self) -> Iterator[tuple[str, str]]:
        app, migration = self.application, self.migration
        stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in migration.stages.items())
        several = f"last swap, {counted(migration.sets, 'set')} of tables" if migration.sets > 1 else "swap"
        yield (
            "rows",
            f"{self.rows:,} in {migration.tables} tables of the plan, {counted(self.options.workers, 'worker')}",
        )
        yield "online", f"{migration.seconds:.1f} s from the first step to the {several}"
        yield "stages", f"{stages} (seconds; they overlap)"
        yield "locked", f"{migration.lock_hold_ms:.1f} ms, after waiting {migration.lock_wait_ms:.1f} ms for the locks"
        if self.offline is not None:
            yield "offline", f"{self.offline.seconds:.1f} s of ALTER TABLE on a copy, locked throughout"
            yield "ratio", f"{self.ratio:.2f} × the offline time"
        yield "parts", ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds_of.items())
        if self.data_set.whole_plan is not None:
            yield "gates", f"overridden: {', '.join(self.overridden)}" if self.overridden else "all passed"
        yield "verified", f"{'yes' if self.verified else 'NO'}: {self.verification}"
        if self.history is not None:
            yield from _followed(self.history)
        if self.criteria:
            met = sum(one["met"] is True for one in self.criteria)
            yield "criteria", f"{met} of {len(self.criteria)} success criteria are met"
        by_style = ", ".join(f"{style} {number:,}" for style, number in app.by_style.items())
        yield (
            "writes",
            f"{app.transactions:,} transactions, {app.writes:,} rows written meanwhile"
            + (f"; by style: {by_style}" if len(app.by_style) > 1 else ""),
        )
        yield "found again", f"{app.found_again:,} of {app.acknowledged:,} acknowledged facts; {len(app.lost)} lost"
        least = self.least_of
        yield (
            "each client",
            f"at least {least['copy']:,} transactions during the copy, {least['swap']:,} from the first table that was "
            f"ready to the swap, {least['after']:,} after it",
        )
        yield "errors", f"{counted(app.failed, 'application error')}, {counted(app.retries, 'retry')}"
        yield "latency", f"p99 {app.p99_latency_ms:.0f} ms, longest {app.max_latency_ms:.0f} ms"


def _followed(history: History) -> Iterator[tuple[str, str]]:
    yield "models", f"{counted(history.patched, 'column')} changed by `replank alembic`, {history.by_hand} by hand"
    yield "alembic check", f"{'nothing to do' if history.same else 'DIFFERS'}: {history.compared}"
    yield "revision", f"{history.revision} {'is' if history.stamped else 'is NOT'} stamped as applied"
