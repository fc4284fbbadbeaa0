"""Room on the disk: next and live tables stand side by side until the past ones are dropped."""

from __future__ import annotations

import os
from pathlib import Path

from producer.audit.findings import Audited, Finding, blocker, warning
from sql.connection import Connection, value
from sql.named import query

GROWTH = 1.3
"""Next tables and indexes against the live ones: uuid is smaller than text, sorting and drains need room."""

LOOPBACK = ("127.", "::1")


def audit_disk(connection: Connection, audited: Audited, *, max_wal_bytes: int) -> list[Finding]:
    """Compare the need with what is free, where the server's disk can be seen from here."""
    need = needed_bytes(audited, max_wal_bytes=max_wal_bytes)
    free = free_bytes(connection, audited.server.system_identifier)
    if free is None:
        return [
            warning(
                "disk_unknown",
                f"the run needs about {need:,} bytes on the server's disk; how much is free cannot be seen from here",
                hint="Look on the server (df), and leave room for the application's own growth.",
                need_bytes=need,
            )
        ]
    if free < need:
        return [
            blocker(
                "disk_space",
                f"the run needs about {need:,} bytes on the server's disk and {free:,} are free",
                hint="Make room, or split the plan by conversion sets.",
                need_bytes=need,
                free_bytes=free,
            )
        ]
    return []


def needed_bytes(audited: Audited, *, max_wal_bytes: int) -> int:
    """The planned tables with their indexes once more, and the WAL of writing them until a checkpoint frees it."""
    size = sum(s.live.table_bytes + s.live.index_bytes for s in audited.subjects)
    return int(size * GROWTH) + min(size, max_wal_bytes)


def free_bytes(connection: Connection, system_identifier: str) -> int | None:
    """Free bytes under the data directory if the server runs here and the directory is its own, else None."""
    address = connection.info.hostaddr
    local = connection.info.host.startswith("/") or address.startswith(LOOPBACK)
    if not local or not value(connection, query("audit.knows_data_directory")):
        return None
    directory = Path(value(connection, query("audit.data_directory")))
    try:
        if not _belongs_to(directory, system_identifier):
            return None
        found = os.statvfs(directory)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _belongs_to(directory: Path, system_identifier: str) -> bool:
    """A port may be forwarded to another machine; the control file begins with the system identifier."""
    with (directory / "global" / "pg_control").open("rb") as control:
        begin = control.read(8)
    return system_identifier in (str(int.from_bytes(begin, order)) for order in ("little", "big"))
