"""The page's document, section by section, from one read of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from monitoring.page.cells import bands, width_for
from monitoring.page.speed import Speed
from monitoring.page.steps import phases
from monitoring.status.read_status import read_again, read_status
from monitoring.status.status import Status
from monitoring.status.status_document import seen_json
from monitoring.status.suggestions import suggestion
from replank.values.states import OPEN_RUNS
from sql.ledger.jobs import job_reports
from sql.ledger.reading import page
from sql.ledger.runs import gates, runs
from sql.ledger.runs.events import read_events
from sql.ledger.runs.runs import Run
from sql.ledger.tables import caches, tables
from sql.session.connection import Connection

SHOWN_CAUSES = 50
SHOWN_WORKERS = 200
SHOWN_EVENTS = 100
SHOWN_WINDOWS = 240

Pools = Sequence[Mapping[str, Any]]

Sections = dict[str, Any]
"""Name → what is shown there. A name that begins with `cells:` is one table's or cache's heat map."""


@dataclass(kw_only=True)
class SectionReader:
    """Reads the sections of one database: sometimes all, and in between what is cheap to read."""

    speed: Speed = field(default_factory=Speed)
    _status: Status | None = None
    _whole_at: datetime | None = None

    def whole(self, connection: Connection, *, pools: Pools | None = None) -> Sections:
        """Everything the page shows of the newest run; only `run` with None where there has never been one.

        `pools` are workers as they answered last, if they were asked.
        """
        run = runs.latest_run(connection)
        if run is None:
            self._status = None
            return {"run": None, "place": _place(connection)}
        status = self._status = read_status(connection)
        at = self._whole_at = gates.server_now(connection)
        return {
            **self._cheap(connection, status, at, pools),
            "phases": phases(connection, status),
            "tables": _tables(connection, status),
            "caches": _caches(connection, status),
            "sets": list(status.sets),
            "speed": self.speed.read(connection, run, at),
            "window": _window(connection, run),
            "causes": _causes(connection, run),
            **_cells(connection, status),
        }

    def quick(self, connection: Connection, *, pools: Pools | None = None) -> Sections:
        """What may have changed since the last whole read and is cheap to read; the whole where the run is another."""
        status = None if self._status is None else read_again(connection, self._status)
        if status is None:
            return self.whole(connection, pools=pools)
        return self._cheap(connection, status, gates.server_now(connection), pools)

    def _cheap(self, connection: Connection, status: Status, at: datetime, pools: Pools | None) -> Sections:
        whole_at = at if self._whole_at is None else self._whole_at
        return {
            "place": _place(connection),
            "run": _run(status, at),
            "headlines": [one.to_json() for one in status.headlines],
            "seen": (None if status.signs is None else seen_json(status.signs)) or {},
            "figures": {"at": whole_at.isoformat(), "age_s": round((at - whole_at).total_seconds(), 1)},
            "restraints": [one.to_json() for one in status.restraints],
            "workers": _workers(connection, status),
            "pools": None if pools is None else list(pools),
            "events": _events(connection, status.run),
        }


def _place(connection: Connection) -> dict[str, str]:
    """Which database this is: on the page it never leaves the sight."""
    info = connection.info
    return {"database": info.dbname, "host": f"{info.host}:{info.port}"}


def _run(status: Status, at: datetime) -> dict[str, Any]:
    run = status.run
    document = status.to_json()
    names = ("run_id", "state", "reason", "paused", "hold_cutover", "phase", "step", "jobs", "rate_rows_s", "eta_s")
    return {name: document[name] for name in names} | {
        "plan": run.plan_name,
        "open": run.state in OPEN_RUNS,
        "led": status.leader is not None,
        "window": document["window"] | {"limit": run.window_limit},
        "since": run.created_at.isoformat(),
        "seconds": round(((run.finished_at or at) - run.created_at).total_seconds()),
        "rows_done": sum(table.rows_done for table in status.tables),
        "rows_total": sum(table.rows_total for table in status.tables),
        "share": document["share"],
        "parts": document["parts"],
        "behind": document["behind"],
        "reverse_capture": document["reverse_capture"],
        "cutover_window": document["cutover_window"],
    }


def _tables(connection: Connection, status: Status) -> list[dict[str, Any]]:
    numbers = {t.spec.full_name: t for t in tables.read_tables(connection, status.run.run_id)}
    unfinished = job_reports.unfinished(connection, status.run.run_id)
    found = []
    for entry in status.tables:
        table = numbers.get(entry.name)
        if table is None:
            continue
        left = unfinished.get(table.table_no)
        found.append(
            {
                "no": table.table_no,
                "name": entry.name,
                "set": entry.set_no,
                "state": entry.state,
                "rows": [entry.rows_done, entry.rows_total],
                "share": round(entry.share, 4),
                "behind": {name: round(done, 4) for name, done in entry.behind.items()},
                "why": entry.why,
                "problem": entry.problem,
                "quarantined": entry.rows_quarantined,
                "unfinished": 0 if left is None else left.running,
                "failed": 0 if left is None else left.failed,
            }
        )
    return found


def _caches(connection: Connection, status: Status) -> list[dict[str, Any]]:
    numbers = {cache.name: cache.cache_no for cache in caches.read_caches(connection, status.run.run_id)}
    return [cache.to_json() | {"no": numbers[cache.name]} for cache in status.caches.caches if cache.name in numbers]


def _window(connection: Connection, run: Run) -> list[list[Any]]:
    found = page.read_window_lately(connection, run.run_id, limit=SHOWN_WINDOWS)
    return [[change.at.isoformat(), change.now, change.maximum, change.reason] for change in found]


def _causes(connection: Connection, run: Run) -> list[dict[str, Any]]:
    found = page.read_causes(connection, run.run_id, limit=SHOWN_CAUSES)
    return [
        cause.to_json() | {"suggestion": suggestion(cause.error_class or None, job=cause.job, row=cause.row_key)}
        for cause in found
    ]


def _workers(connection: Connection, status: Status) -> dict[str, Any]:
    """Jobs under way, how many processes would be right, and queues with their processes and what waits there."""
    sent = 0 if status.signs is None else sum(queue.sent for queue in status.signs.queues)
    found = page.read_present_jobs(connection, status.run.run_id, limit=SHOWN_WORKERS)
    wanted = None if status.workers is None else status.workers.to_json()
    queues = [] if status.signs is None else [asdict(queue) for queue in status.signs.queues]
    return {"sent": sent, "queues": queues, "wanted": wanted, "jobs": [job.to_json() for job in found]}


def _events(connection: Connection, run: Run) -> list[dict[str, Any]]:
    """The newest first."""
    found = read_events(connection, run.run_id, limit=SHOWN_EVENTS)
    return [
        {
            "id": event.event_id,
            "at": _moment(event.at),
            "actor": event.actor,
            "kind": event.kind,
            "subject": event.subject,
            "message": event.message,
        }
        for event in reversed(found)
    ]


def _cells(connection: Connection, status: Status) -> Sections:
    width = width_for(sum(status.jobs.values()))
    drawn = bands(page.read_cells(connection, status.run.run_id, width=width))
    return {f"cells:{what}:{number}": found for (what, number), found in drawn.items()}


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
