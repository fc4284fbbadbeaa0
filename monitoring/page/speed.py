"""Rows over the last ten minutes: what is over is remembered, so that each read takes the newest seconds only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sql.ledger.runs import history
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

SPAN_S = 10
SPANS = 60
LATE_SPANS = 3
"""Transactions commit a little after the moment they bear: so many of the newest spans are read again."""


@dataclass(kw_only=True)
class Speed:
    """What one server process has seen of a run's speed."""

    _run: tuple[int, datetime] | None = None
    """Its number and when it began: after a rollback numbers begin again."""
    _read_until: int = 0
    _rows: dict[int, dict[str, int]] = field(default_factory=dict)
    """By the number of the span since 1970."""

    def read(self, connection: Connection, run: Run, at: datetime) -> dict[str, Any]:
        """`since`, `span_s`, and `rows` of each kind of job in each span; the newest span is not over yet."""
        newest = int((run.finished_at or at).timestamp()) // SPAN_S
        oldest = newest - SPANS + 1
        if (run.run_id, run.created_at) != self._run:
            self._run, self._read_until, self._rows = (run.run_id, run.created_at), 0, {}
        start = max(oldest, self._read_until - LATE_SPANS)
        since = datetime.fromtimestamp(start * SPAN_S, tz=UTC)
        self._rows = {span: rows for span, rows in self._rows.items() if oldest <= span < start}
        for kind, place, count in history.rows_over_time(connection, run.run_id, since=since, span_s=SPAN_S):
            self._rows.setdefault(start + place, {})[kind] = count
        self._read_until = newest
        kinds = sorted({kind for rows in self._rows.values() for kind in rows})
        spans = range(oldest, newest + 1)
        return {
            "since": datetime.fromtimestamp(oldest * SPAN_S, tz=UTC).isoformat(),
            "span_s": SPAN_S,
            "rows": {kind: [self._rows.get(span, {}).get(kind, 0) for span in spans] for kind in kinds},
        }
