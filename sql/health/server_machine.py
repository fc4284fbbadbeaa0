"""What can be seen of the server's machine from here: its data directory, and the room on its disk."""

from __future__ import annotations

import os
from pathlib import Path

from sql.session.connection import Connection, value
from sql.session.named_queries import query

LOOPBACK = ("127.", "::1")


def local_data_directory(connection: Connection, system_identifier: str) -> Path | None:
    """The data directory if the server runs here and the directory is its own, else None."""
    address = connection.info.hostaddr
    local = connection.info.host.startswith("/") or address.startswith(LOOPBACK)
    if not local or not value(connection, query("audit.knows_data_directory")):
        return None
    directory = Path(value(connection, query("audit.data_directory")))
    try:
        return directory if _belongs_to(directory, system_identifier) else None
    except OSError:
        return None


def free_bytes(directory: Path) -> int | None:
    """Free bytes on the disk of a directory; None where it cannot be seen."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _belongs_to(directory: Path, system_identifier: str) -> bool:
    """A port may be forwarded to another machine; the control file begins with the system identifier."""
    with (directory / "global" / "pg_control").open("rb") as control:
        begin = control.read(8)
    return system_identifier in (str(int.from_bytes(begin, order)) for order in ("little", "big"))
