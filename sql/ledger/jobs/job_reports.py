"""What the ledger says of jobs: what keeps barriers closed, what failed, how fast it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from replank.values.states import JobKind, JobState
from replank.values.table_spec import TableSpec
from sql.ledger.jobs.claims import chunk_of
from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """What keeps a barrier closed, each counted up to 1000."""

    running: int
    failed: int


def unfinished(connection: Connection, run_id: int) -> dict[int, Unfinished]:
    """By table number; a table that is not in it has no unfinished job."""
    found = rows(connection, query("jobs.unfinished_by_table"), {"run_id": run_id})
    return {
        r["table_no"]: Unfinished(running=r["running"], failed=r["failed"])
        for r in found
        if r["running"] or r["failed"]
    }


def copying(connection: Connection, table: TableSpec) -> bool:
    """Whether a copy job of the table is unfinished: a drain now could be undone by its older snapshot."""
    found = rows(connection, query("jobs.unfinished_copies"), {"run_id": table.run_id, "table_no": table.table_no})
    return bool(found)


def pace(connection: Connection, table: TableSpec, kind: JobKind) -> dict[str, Any]:
    """How long a table's last few jobs of a kind took, `seconds`, for how many `keys`; both None before the first."""
    found = row(
        connection,
        query("jobs.pace"),
        {"run_id": table.run_id, "table_no": table.table_no, "kind": str(kind)},
    )
    assert found is not None
    return found


def is_waiting(connection: Connection, table: TableSpec, kind: JobKind) -> bool:
    """Whether a job of this kind is still to be done for the table."""
    found = rows(
        connection,
        query("jobs.of_kind"),
        {"run_id": table.run_id, "table_no": table.table_no, "kind": str(kind)},
    )
    return bool(found)


def results(connection: Connection, table: TableSpec, kind: JobKind, generation: int) -> list[dict[str, Any]]:
    """`job_id`, `rows`, `detail` and `result` of the done jobs of one kind and generation."""
    return rows(
        connection,
        query("jobs.results"),
        {
            "run_id": table.run_id,
            "table_no": table.table_no,
            "kind": str(kind),
            "generation": generation,
        },
    )


def leased_by(connection: Connection, workers: Sequence[str]) -> int:
    """Jobs of any run that these workers are at."""
    found = row(connection, query("jobs.leased_by"), {"workers": list(workers)})
    return 0 if found is None else int(found["n"])


def unclaimed(connection: Connection, kinds: Sequence[JobKind], *, older_than_s: float, younger_than_s: float) -> int:
    """Jobs of any run, sent more than `older_than_s` and less than `younger_than_s` ago, that no worker has claimed."""
    named = {"kinds": [str(kind) for kind in kinds], "older_than_s": older_than_s, "younger_than_s": younger_than_s}
    found = row(connection, query("jobs.unclaimed"), named)
    return 0 if found is None else int(found["n"])


def drained_lately(connection: Connection, table: TableSpec, *, seconds: float) -> bool:
    """Whether the table was drained within the last seconds."""
    named = {"run_id": table.run_id, "table_no": table.table_no, "seconds": seconds}
    found = row(connection, query("jobs.drained_lately"), named)
    return found is not None and bool(found["lately"])


def read_failures(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """Jobs that need the operator, with class, SQLSTATE, message, and the range as `Chunk` writes it."""
    found = rows(connection, query("jobs.failures"), {"run_id": run_id})
    for failure in found:
        failure["range"] = str(chunk_of(failure) or "")
        for name in ("axis", "lower", "upper"):
            del failure[name]
    return found


def count_by_state(connection: Connection, run_id: int) -> dict[str, int]:
    found = rows(connection, query("jobs.counts"), {"run_id": run_id})
    return {str(state): 0 for state in JobState} | {r["state"]: r["n"] for r in found}


def leases(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """What every worker does now."""
    return rows(connection, query("jobs.leases"), {"run_id": run_id})


def rows_lately(connection: Connection, run_id: int, *, seconds: float) -> int:
    """Rows that copy and verify jobs finished within the last `seconds`."""
    found = rows(connection, query("jobs.rate"), {"run_id": run_id, "seconds": seconds})
    return int(found[0]["rows"])


def working_backends(connection: Connection, run_id: int) -> list[int]:
    """Process ids of the server's sessions that work on leased jobs of this run: our own."""
    return [r["pid"] for r in rows(connection, query("jobs.own_backends"), {"run_id": run_id})]
