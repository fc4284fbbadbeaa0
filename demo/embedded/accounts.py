"""Which system account a server runs as: PostgreSQL refuses to run as root."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from demo.embedded.errors import EmbeddedServerError

UNPRIVILEGED_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True, kw_only=True)
class ServerAccount:
    """A system account without privileges that servers run as when we are root."""

    name: str
    uid: int
    gid: int


def server_account() -> ServerAccount | None:
    """The account for our servers; None means our own, because we are an ordinary user.

    Raises EmbeddedServerError if we are root and no unprivileged account exists.
    """
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerAccount(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise EmbeddedServerError(
        "PostgreSQL does not run as root, and neither of the system users "
        f"{' or '.join(UNPRIVILEGED_ACCOUNTS)} exists: create one, or start as an ordinary user"
    )


def blocking_folder(path: Path, account: ServerAccount) -> Path | None:
    """The first folder on the way to `path`, itself included, that the account may not enter."""
    for folder in [*reversed(path.parents), path]:
        state = folder.stat()
        if state.st_uid == account.uid:
            needed = stat.S_IXUSR
        elif state.st_gid == account.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not state.st_mode & needed:
            return folder
    return None


def write_private(path: Path, text: str, account: ServerAccount | None) -> None:
    """Write a new file that only the server's account (and root) may read; it holds a password.

    Raises FileExistsError if something is there already: a name we did not make is never written through.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        if account is not None:
            os.fchown(descriptor, account.uid, account.gid)
        file.write(text)
