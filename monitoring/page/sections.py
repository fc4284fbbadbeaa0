"""The page's document, section by section, from one look at the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from monitoring.page.cells import bands, width_for
from monitoring.page.headlines import Surroundings, headlines
from monitoring.page.speed import Speed
from monitoring.page.steps import phases
from monitoring.status import Status, read_status
from monitoring.suggestions import suggestion
from replank.states import OPEN_RUNS
from sql.connection import Connection
from sql.ledger import caches, gates, job_looks, page, runs, tables
from sql.ledger.runs import Run

SHOWN_CAUSES = 50
SHOWN_WORKERS = 200
SHOWN_EVENTS = 100
SHOWN_WINDOWS = 240

Sections = dict[str, Any]
"""Name → what is shown there. A name that begins with `cells:` is one table's or cache's heat map."""


def read_sections(
    connection: Connection, speed: Speed, *, pools: Sequence[Mapping[str, Any]] | None = None
) -> Sections:
    """Everything the page shows of the newest run; only `run` with None where there has never been one.

    `speed` is what was seen at the looks before. `pools` are workers as they answered last, at least `alive`, if
    anybody asked them.
    """
    run = runs.latest_run(connection)
    if run is None:
        return {"run": None}
    status = read_status(connection)
    at = gates.server_now(connection)
    causes = _causes(connection, run)
    sent, oldest_s = page.read_queue(connection, run.run_id)
    led = status.leader is not None
    workers = None if pools is None else sum(1 for pool in pools if pool["alive"])
    around = Surroundings(led=led, sent=sent, oldest_s=oldest_s, causes=causes, workers=workers)
    return {
        "run": _run(status, at, led=led),
        "headlines": [one.to_json() for one in headlines(status, around)],
        "phases": phases(connection, status),
        "tables": _tables(connection, status),
        "caches": _caches(connection, status),
        "sets": list(status.sets),
        "restraints": [one.to_json() for one in status.restraints],
        "speed": speed.read(connection, run, at),
        "window": _window(connection, run),
        "causes": causes,
        "workers": _workers(connection, status, sent),
        "pools": None if pools is None else list(pools),
        "events": _events(connection, run),
        **_cells(connection, status),
    }


def _run(status: Status, at: datetime, *, led: bool) -> dict[str, Any]:
    run = status.run
    said = status.to_json()
    names = ("run_id", "state", "reason", "paused", "hold_cutover", "phase", "step", "jobs", "rate_rows_s", "eta_s")
    total = sum(table.rows_total for table in status.tables)
    share = sum(t.share * max(t.rows_total, 1) for t in status.tables) / max(total, len(status.tables), 1)
    return {name: said[name] for name in names} | {
        "plan": run.plan_name,
        "open": run.state in OPEN_RUNS,
        "led": led,
        "window": said["window"] | {"limit": run.window_limit},
        "since": run.created_at.isoformat(),
        "seconds": round(((run.finished_at or at) - run.created_at).total_seconds()),
        "rows_done": sum(table.rows_done for table in status.tables),
        "rows_total": total,
        "share": round(share, 4),
        "reverse_capture": said["reverse_capture"],
        "cutover_window": said["cutover_window"],
    }


def _tables(connection: Connection, status: Status) -> list[dict[str, Any]]:
    numbers = {t.spec.full_name: t for t in tables.read_tables(connection, status.run.run_id)}
    unfinished = job_looks.unfinished(connection, status.run.run_id)
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
    return [[change["at"].isoformat(), change["now"], change["maximum"], change["reason"]] for change in found]


def _causes(connection: Connection, run: Run) -> list[dict[str, Any]]:
    found = page.read_causes(connection, run.run_id, limit=SHOWN_CAUSES)
    return [
        {
            **cause,
            "last_at": _moment(cause["last_at"]),
            "suggestion": suggestion(cause["class"] or None, job=cause["job"], row=cause["row_key"]),
        }
        for cause in found
    ]


def _workers(connection: Connection, status: Status, sent: int) -> dict[str, Any]:
    found = page.read_present_jobs(connection, status.run.run_id, limit=SHOWN_WORKERS)
    wanted = None if status.workers is None else status.workers.to_json()
    return {"sent": sent, "wanted": wanted, "jobs": [{**job, "seconds": round(job["seconds"])} for job in found]}


def _events(connection: Connection, run: Run) -> list[dict[str, Any]]:
    """The newest first."""
    found = runs.read_events(connection, run.run_id, limit=SHOWN_EVENTS)
    return [
        {
            "id": event["event_id"],
            "at": _moment(event["at"]),
            **{name: event[name] for name in ("actor", "kind", "subject", "message")},
        }
        for event in reversed(found)
    ]


def _cells(connection: Connection, status: Status) -> Sections:
    width = width_for(sum(status.jobs.values()))
    drawn = bands(page.read_cells(connection, status.run.run_id, width=width))
    return {f"cells:{what}:{number}": found for (what, number), found in drawn.items()}


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
