"""Room on the disk: next and live tables stand side by side until the past ones are dropped."""

from __future__ import annotations

from producer.check.findings import Finding, blocker, warning
from producer.planning.prepared_run import PreparedRun
from sql.health.server_machine import free_bytes, local_data_directory
from sql.session.connection import Connection

GROWTH = 1.3
"""Next tables and indexes against the live ones: uuid is smaller than text, sorting and drains need room."""


def audit_disk(connection: Connection, audited: PreparedRun, *, max_wal_bytes: int) -> list[Finding]:
    """Compare the need with what is free, where the server's disk can be seen from here."""
    need = needed_bytes(audited, max_wal_bytes=max_wal_bytes)
    directory = local_data_directory(connection, audited.server.system_identifier)
    free = free_bytes(directory) if directory else None
    if free is None:
        return [
            warning(
                "disk_unknown",
                f"the run needs about {need:,} bytes on the server's disk; the free space cannot be read from here",
                hint="Check the free space on the server (df), and leave room for the application's own growth.",
                need_bytes=need,
            )
        ]
    if free < need:
        return [
            blocker(
                "disk_space",
                f"the run needs about {need:,} bytes on the server's disk and {free:,} are free",
                hint="Free disk space, or split the plan by conversion sets.",
                need_bytes=need,
                free_bytes=free,
            )
        ]
    return []


def needed_bytes(audited: PreparedRun, *, max_wal_bytes: int) -> int:
    """The planned tables with their indexes once more, and the WAL of writing them until a checkpoint frees it."""
    size = sum(s.live.table_bytes + s.live.index_bytes for s in audited.subjects)
    return int(size * GROWTH) + min(size, max_wal_bytes)
