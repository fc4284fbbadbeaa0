"""`[governor]` in a plan: how much of each signal of the database's health is too much."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from replank.plan.text.plan_words import Strict

SignalName = Literal[
    "replay_lag",
    "slot_retained",
    "archive_waiting",
    "active_backends",
    "waiting_locks",
    "xmin_age",
    "free_disk",
    "probe",
]

Positive = Annotated[int, Field(ge=1)]


class GovernorPlan(Strict):
    """Limits of the signals; over one of them the window is halved. `off` names the signals that are not looked at.

    `replay_lag_mb`: WAL that a replica has not replayed. `slot_retained_mb`: WAL that a replication slot holds back,
    never more than half of max_slot_wal_keep_size. `archive_waiting_mb`: WAL waiting for the archive command.
    `active_backends_per_cpu`: the application's running statements for each of `server_cpus`; where these are not
    said, those of this machine if the server is here, otherwise the signal is not looked at. `waiting_locks`: the
    application's sessions that have waited for a lock for a second. `xmin_age`: transactions since the oldest one
    that anybody may still see; vacuum cannot clean behind it. `free_disk_mb`: what must stay free, looked at where the
    server's disk can be seen from the coordinator. `probe`: a query of the application's, read only, and the
    milliseconds that it may take.
    """

    replay_lag_mb: Positive = 1_024
    slot_retained_mb: Positive = 8_192
    archive_waiting_mb: Positive = 4_096
    active_backends_per_cpu: Positive = 8
    server_cpus: Positive | None = None
    waiting_locks: Positive = 20
    xmin_age: Positive = 150_000_000
    free_disk_mb: Positive = 1_024
    probe: Annotated[str, Field(min_length=1)] | None = None
    probe_ms: Positive = 500
    off: tuple[SignalName, ...] = ()
