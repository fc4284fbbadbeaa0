"""Why a delivery came to nothing, in words: monitors show them, nothing decides by them."""

from __future__ import annotations

from replank.values.states import JobState, RunState
from sql.ledger.jobs import claims
from sql.session.connection import Connection


def why_not_claimed(connection: Connection, run_id: int, job_id: int) -> str:
    """Of a job that `jobs.claim` did not give. It may have gone on since."""
    found = claims.refusal(connection, run_id=run_id, job_id=job_id)
    if found is None:
        return f"run {run_id} has no such job in this ledger"
    by = f"by {found.worker or 'another worker'}, attempt {found.attempt}"
    if found.state is JobState.DONE:
        return f"already done {by}"
    if found.state is JobState.LEASED:
        return f"leased {by}"
    if found.state is not JobState.WAITING:
        return f"the job is already {found.state}"
    return f"{_held_back(found)}; the ledger sends it again"


def _held_back(found: claims.Refusal) -> str:
    if found.run_state is not RunState.RUNNING:
        return f"the run is {found.run_state}"
    if found.held:
        return "the run is paused or throttled here"
    return "its next attempt is not due yet" if found.early else "as many jobs are leased as the window allows"
