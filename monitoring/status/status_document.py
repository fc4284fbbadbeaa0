"""The document of `status --json`: fields that programs count on, and more."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from monitoring.status.table_progress import TableProgress
from sql.ledger.reading.signs import Signs
from sql.session.leader_lock import leader_json

if TYPE_CHECKING:
    from monitoring.status.status import Status


def status_json(status: Status) -> dict[str, Any]:
    """The whole of it."""
    run = status.run
    return {
        "run_id": run.run_id,
        "database": status.database,
        "host": status.host,
        "headlines": [headline.to_json() for headline in status.headlines],
        "seen": None if status.signs is None else seen_json(status.signs),
        "state": str(run.state),
        "reason": run.reason,
        "paused": run.paused,
        "hold_cutover": run.hold_cutover,
        "restraints": [restraint.to_json() for restraint in status.restraints],
        "left_out": [job.to_json() for job in status.left_out],
        "refused": [worker.to_json() for worker in status.refused],
        "phase": status.step[1],
        "step": status.step[0],
        "steps": [step.to_json() for step in status.steps],
        "off": list(run.plan.steps.off),
        "gates": [gate.to_json() for gate in status.gates],
        "cutover_window": None if status.cutover_window is None else status.cutover_window.to_json(),
        "share": round(status.share, 4),
        "parts": {name: round(part, 4) for name, part in status.parts.items()},
        "behind": {name: round(done, 4) for name, done in status.behind.items()},
        "tables": [_table_json(table) for table in status.tables],
        "sets": list(status.sets),
        "caches": [cache.to_json() for cache in status.caches.caches],
        "hits": {"before": status.caches.before, "after": status.caches.after},
        "reverse_capture": None if status.rollback_facts is None else status.rollback_facts.to_json(),
        "rollback": None if status.rollback is None else status.rollback.to_json(),
        "coordinator": leader_json(status.leader),
        "workers": None if status.workers is None else status.workers.to_json(),
        "queues": [queue.to_json() for queue in status.queues],
        "resent": status.resent.to_json(),
        "already": [{"object": place, "message": words} for place, words in status.already],
        "preparing": None if status.preparing is None else status.preparing.to_json(),
        # Programs may count on this field: rows are quarantined, never jobs.
        "jobs": {**status.jobs, "quarantined": 0},
        "rate_rows_s": round(status.rate_rows_s, 1),
        "eta_s": None
        if status.eta_s is None
        else {"low": round(status.eta_s[0], 1), "high": round(status.eta_s[1], 1)},
        "window": {"now": run.window_now, "max": run.window_max, "reason": run.window_reason},
    }


def _table_json(table: TableProgress) -> dict[str, Any]:
    return {
        "name": table.name,
        "state": table.state,
        "rows_done": table.rows_done,
        "rows_total": table.rows_total,
        "set": table.set_no,
        "share": round(table.share, 4),
        "behind": {name: round(done, 4) for name, done in table.behind.items()},
        "problem": table.problem,
        "rows_quarantined": table.rows_quarantined,
        "why": table.why,
        "chunks": dict(table.chunks),
        "verification": table.verification,
    }


def seen_json(signs: Signs) -> dict[str, Any]:
    """What a verdict stands on, and of when it is."""
    broker = signs.broker
    return {
        "at": signs.now.isoformat(),
        "finished_at": signs.finished_at and signs.finished_at.isoformat(),
        "moved_at": signs.moved_at.isoformat(),
        "leased": signs.leased,
        "working": signs.working,
        "queues": [asdict(queue) for queue in signs.queues],
        "broker": broker
        and {
            "answers": broker.answers,
            "problem": broker.problem,
            "since": broker.since.isoformat(),
            "seen_at": broker.seen_at.isoformat(),
            "age_s": round(signs.age_s(broker.seen_at), 1),
        },
        "wrong_logins": signs.logins
        and {
            **asdict(signs.logins),
            "since": signs.logins.since.isoformat(),
            "last_at": signs.logins.last_at.isoformat(),
        },
    }
