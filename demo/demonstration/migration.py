"""What the ledger says of the last run."""

from __future__ import annotations

from demo.datasets.data_set import Migration
from monitoring.status.durations import stage_seconds
from monitoring.status.read_status import read_status
from sql.ledger.tables import conversion_sets, verifications
from sql.session.connection import connect


def read_migration(url: str) -> Migration:
    with connect(url, name="demo") as connection:
        status = read_status(connection)
        run = status.run
        sets = conversion_sets.read_sets(connection, run.run_id)
        stages = stage_seconds(connection, run.run_id)
        proofs = verifications.read(connection, run.run_id)
    swapped = [one.swapped_at for one in sets if one.swapped_at is not None]
    return Migration(
        run_id=run.run_id,
        state=str(run.state),
        tables=len(status.tables),
        compared=sum(proof.passed for proof in proofs.values()),
        sets=len(sets),
        seconds=round(max((at - run.created_at).total_seconds() for at in swapped), 3),
        stages=stages,
        lock_wait_ms=round(max(one.lock_wait_ms or 0.0 for one in sets), 1),
        lock_hold_ms=round(max(one.lock_hold_ms or 0.0 for one in sets), 1),
    )
