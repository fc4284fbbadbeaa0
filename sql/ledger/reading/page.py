"""What the run page reads of the ledger beside the status: bounded answers, however many jobs there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sql.ledger.jobs.claims import chunk_of
from sql.session.connection import Connection, rows, run
from sql.session.named_queries import query

Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CellKey:
    """Which heat map a cell belongs to. `object` is the number of a table, or minus one minus that of a cache."""

    object: int
    kind: str
    generation: int


def read_cells(connection: Connection, run_id: int, *, width: int) -> dict[CellKey, list[tuple[int, ...]]]:
    """Jobs in cells of `width` ids each, in the order of cutting.

    Each is first and last job (halves count as the job that they come from), then `jobs, done, running, failed,
    skipped, again, split, retried`: `again` waits after an attempt, `retried` is done and took more than
    one, `jobs` counts the split ones too. Plain tuples: there are thousands.
    """
    found: dict[CellKey, list[tuple[int, ...]]] = {}
    asked = run(connection, query("page.cells"), {"run_id": run_id, "width": width}).fetchall()
    for object_no, kind, generation, *counts in sorted(asked, key=itemgetter(0, 1, 2, 3, 4)):
        # The number of the cell and its own job were for the order only.
        found.setdefault(CellKey(object_no, kind, generation), []).append(tuple(counts[2:]))
    return found


def read_chunks(
    connection: Connection,
    run_id: int,
    *,
    kind: str,
    table_no: int | None,
    cache_no: int | None,
    first: int,
    last: int,
    limit: int,
) -> list[Found]:
    """The jobs of one cell with `range`, `seconds` and the words of their last error, what went wrong first."""
    named: Mapping[str, Any] = {
        "run_id": run_id,
        "kind": kind,
        "table_no": table_no,
        "cache_no": cache_no,
        "first": first,
        "last": last,
        "limit": limit,
    }
    return [_with_range(found) for found in rows(connection, query("page.chunks"), named)]


def read_causes(connection: Connection, run_id: int, *, limit: int) -> list[Found]:
    """Failed jobs by class and SQLSTATE: how many, the first one as the example, and `places`.

    Places are documents of `table, object, kind, jobs`, where `object` is `table:3` or `cache:1`.
    """
    return [_with_range(found) for found in rows(connection, query("page.causes"), {"run_id": run_id, "limit": limit})]


def read_present_jobs(connection: Connection, run_id: int, *, limit: int) -> list[Found]:
    """Leased jobs with their worker, range, attempt, and seconds since they began."""
    return [
        _with_range(found) for found in rows(connection, query("page.present_jobs"), {"run_id": run_id, "limit": limit})
    ]


def read_window_lately(connection: Connection, run_id: int, *, limit: int) -> list[Found]:
    """The newest decisions of the governor, oldest first: `at`, `now`, `maximum`, `reason`."""
    return rows(connection, query("page.window_lately"), {"run_id": run_id, "limit": limit})


def _with_range(found: Found) -> Found:
    found["range"] = str(chunk_of(found) or "")
    for name in ("axis", "lower", "upper"):
        del found[name]
    return found
