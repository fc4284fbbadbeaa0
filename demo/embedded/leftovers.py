"""Servers and folders whose owner died without stopping them."""

import os
import re
from pathlib import Path

from demo.embedded.accounts import server_account
from demo.embedded.errors import EmbeddedServerError
from demo.embedded.folders import Owner, lock_folder, remove_tree, runtime_root, unlock_folder
from demo.embedded.processes import end_servers_of

INSTANCE_NAME = re.compile(r"(postgres|valkey)-[0-9a-f]{12}")


def clean_leftovers() -> list[str]:
    """Stop the servers that dead processes left and remove their folders; says what was done, a line each.

    Folders of live owners and of other users are never touched. Several processes may do this at once: the
    folder's lock decides who does it. A folder that cannot be cleaned is described too and stays.
    """
    root = runtime_root(server_account())
    found = sorted(path for path in root.iterdir() if INSTANCE_NAME.fullmatch(path.name))
    return [line for path in found if (line := _clean(path)) is not None]


def _clean(path: Path) -> str | None:
    try:
        if path.lstat().st_uid != os.geteuid():
            return None
    except FileNotFoundError:
        return None
    lock = lock_folder(path)
    if lock is None:
        return None
    try:
        owner = Owner.read(path)
        # Without an owner file no server was started: its writing comes first.
        if owner is not None and owner.is_alive():
            return None
        stopped = end_servers_of(path)
        remove_tree(path)
    except (EmbeddedServerError, OSError) as failed:
        return f"{path} is left over and could not be cleaned: {failed}"
    finally:
        unlock_folder(lock)
    servers = f"stopped its server (process {', '.join(map(str, stopped))})" if stopped else "no server ran"
    whose = f"process {owner.pid}, which is gone" if owner else "a process that never finished making it"
    return f"removed {path} of {whose}; {servers}"
