"""What the platform's demonstration measured, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from demo.application import ApplicationReport
from monitoring.status.status import read_status
from replank.wording import counted
from sql.ledger.tables import tables
from sql.session.connection import connect

_LEFT = """
SELECT k.conname FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
 WHERE k.contype = 'f' AND NOT k.convalidated AND n.nspname !~ '^replank'
UNION ALL
SELECT format('%I.%I', c.relname, a.attname) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND a.attname IN ('id', 'uuid', 'tenant_id', 'user_id', 'content_id') AND NOT a.attisdropped
   AND a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype)
"""
"""Foreign keys that are not valid, and columns of ids that are still texts."""

_AUDITED = """
SELECT s.style, count(a.*) FROM unnest(ARRAY['old', 'new']) AS s (style)
  LEFT JOIN audit.audit_log AS a ON a.actor LIKE s.style || '.%' AND a.request_id IS NOT NULL
 GROUP BY s.style
"""
"""What the audit log knows of each style's clients by their own names."""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """Of the last run: seconds from its begin to the last swap, and the longest that a set's locks took."""

    tables: int
    sets: int
    seconds: float
    lock_wait_ms: float
    lock_hold_ms: float


def read_migration(url: str) -> Migration:
    with connect(url, name="demo") as connection:
        status = read_status(connection)
        sets = tables.read_sets(connection, status.run.run_id)
    swapped = [one.swapped_at for one in sets if one.swapped_at is not None]
    return Migration(
        tables=len(status.tables),
        sets=len(sets),
        seconds=round(max((at - status.run.created_at).total_seconds() for at in swapped), 1),
        lock_wait_ms=round(max(one.lock_wait_ms or 0.0 for one in sets), 1),
        lock_hold_ms=round(max(one.lock_hold_ms or 0.0 for one in sets), 1),
    )


def judge(url: str, migration: Migration, criteria: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """By the catalogue: no id is a text, no key is unproved; by the audit log: it knows who wrote; by the report: uuid
    fields everywhere, nothing lost."""
    with psycopg.connect(url, autocommit=True) as connection:
        left = [name for (name,) in connection.execute(_LEFT.encode()).fetchall()]
        audited: dict[str, int] = dict(connection.execute(_AUDITED.encode()).fetchall())
    proved = [one["met"] is True for one in criteria[:2]]
    entries = ", ".join(f"{number:,} of {style} clients" for style, number in sorted(audited.items(), reverse=True))
    words = (
        f"{migration.tables} tables rebuilt and compared row by row; audit entries: {entries}; "
        f"not as planned: {', '.join(left) or 'nothing'}"
    )
    return not left and all(proved) and all(audited.values()), words


@dataclass(frozen=True, kw_only=True)
class PlatformResult:
    """`seconds_of` is how long each part of the demonstration took; `criteria` are those of `replank report`."""

    rows: int
    workers: int
    migration: Migration
    verified: bool
    verification: str
    criteria: Sequence[Mapping[str, Any]]
    seconds_of: Mapping[str, float]
    overridden: tuple[str, ...]
    there_and_back: bool
    report_file: Path
    application: ApplicationReport

    @property
    def good(self) -> bool:
        return self.verified and not self.application.lost and not self.application.errors

    @property
    def unmet(self) -> list[str]:
        """The criteria that are not met, or could not be decided, in words."""
        return [f"{one['criterion']}: {one['shown']}" for one in self.criteria if one["met"] is not True]

    def to_json(self) -> dict[str, Any]:
        application = asdict(self.application)
        document = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "application"}
        return {
            **document,
            **asdict(self.migration),
            "migration": asdict(self.migration),
            "report_file": str(self.report_file),
            "lost_writes": len(application["lost"]),
            "app_errors": len(application["errors"]),
            "writes_acknowledged": application["acknowledged"],
            "writes_found_again": application["found_again"],
            "application": application,
        }

    def show(self, console: Console) -> None:
        """The result for people. What is not met is named."""
        console.print(self._table())
        for sentence in self.unmet:
            console.print(f"not met: {sentence}", style="yellow", markup=False, soft_wrap=True)
        for sentence in self.application.lost[:10]:
            console.print(f"lost: {sentence}", style="red", markup=False)
        for sentence in self.application.errors[:10]:
            console.print(f"application error: {sentence}", style="red", markup=False)
        console.print(f"The report: {self.report_file.absolute()}", markup=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table(title="The whole migration plan, while the application went on", show_header=False, box=None)
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        app, migration = self.application, self.migration
        met = sum(one["met"] is True for one in self.criteria)
        for name, value in (
            ("rows", f"{self.rows:,} in {migration.tables} tables of the plan, {counted(self.workers, 'worker')}"),
            (
                "online",
                f"{migration.seconds:.1f} s from the first step to the last swap, "
                f"{counted(migration.sets, 'set')} of tables",
            ),
            ("locked", f"{migration.lock_hold_ms:.1f} ms, after waiting {migration.lock_wait_ms:.1f} ms for the locks"),
            ("parts", ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds_of.items())),
            ("gates", f"overridden: {', '.join(self.overridden)}" if self.overridden else "all passed"),
            ("verified", f"{'yes' if self.verified else 'NO'}: {self.verification}"),
            ("criteria", f"{met} of {len(self.criteria)} success criteria are met"),
            ("writes", f"{app.transactions:,} transactions, {app.writes:,} rows; by style: {_by_style(app)}"),
            ("found again", f"{app.found_again:,} of {app.acknowledged:,} acknowledged facts; {len(app.lost)} lost"),
            ("errors", f"{counted(len(app.errors), 'application error')}, {counted(app.retries, 'retry')}"),
            ("latency", f"p99 {app.p99_latency_ms:.0f} ms, longest {app.max_latency_ms:.0f} ms"),
        ):
            table.add_row(name, value)
        return table


def _by_style(app: ApplicationReport) -> str:
    return ", ".join(f"{style} {number:,}" for style, number in app.by_style.items())
