"""The runtime root, and the folder of one server with the record of who owns it.

A folder is alive as long as its owner holds the lock (`flock`) on it; the kernel gives the lock back when
the owner dies in whatever way. The owner file says the same a second time, for people and for file systems
without locks: process id plus start time, so that a reused process id is not taken for the owner.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import stat
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from demo.embedded.accounts import ServerAccount, blocking_folder
from demo.embedded.errors import EmbeddedServerError

OWNER_FILE = "owner.json"
REMOVAL_DEADLINE_S = 5.0
# Wall clocks are corrected now and then, so two readings of one start time may differ a little.
START_TIME_TOLERANCE_S = 2.0

_held_locks: set[int] = set()


def _release_after_fork() -> None:
    """A forked child must not keep its dead parent's folders locked."""
    for descriptor in _held_locks:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held_locks.clear()


os.register_at_fork(after_in_child=_release_after_fork)


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The process that a folder belongs to; times are in seconds."""

    pid: int
    started_at: float
    started_after_boot: float

    @classmethod
    def current(cls) -> "Owner":
        """This process."""
        process = psutil.Process()
        started_at = process.create_time()
        return cls(pid=process.pid, started_at=started_at, started_after_boot=started_at - psutil.boot_time())

    @classmethod
    def read(cls, folder: Path) -> "Owner | None":
        """The owner written in the folder; None if it never came to be written in full."""
        try:
            fields = json.loads((folder / OWNER_FILE).read_text(encoding="utf-8"))
            return cls(**fields)
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def is_alive(self) -> bool:
        """Whether that very process still runs.

        Either time may match: the wall clock may have been set since, and on some systems the boot time
        moves with it.
        """
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            started_at = process.create_time()
        except psutil.NoSuchProcess:
            return False
        drifts = (started_at - self.started_at, started_at - psutil.boot_time() - self.started_after_boot)
        return min(abs(drift) for drift in drifts) < START_TIME_TOLERANCE_S


def runtime_root(account: ServerAccount | None) -> Path:
    """The folder that holds all our instances, made if it is missing.

    Raises EmbeddedServerError if it is not safely ours, or the servers' account cannot reach it.
    """
    named = os.environ.get("REPLANK_RUNTIME_DIR")
    root = Path(named) if named else Path(tempfile.gettempdir()).resolve() / f"replank-{os.geteuid()}"
    if named:
        root = root.resolve()
    wanted_mode = 0o700 if account is None else 0o711
    root.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        root.mkdir(mode=wanted_mode)
    # Anybody may have made this name in a shared /tmp before us, so look at what is there, not behind it.
    state = root.lstat()
    ours = stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid()
    if not ours or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise EmbeddedServerError(
            f"{root} is not a folder of our own that no other user may write to: remove it, "
            "or name another one in REPLANK_RUNTIME_DIR"
        )
    if not named and stat.S_IMODE(state.st_mode) != wanted_mode:
        root.chmod(wanted_mode)
    blocked = blocking_folder(root, account) if account is not None else None
    if account is not None and blocked is not None:
        raise EmbeddedServerError(
            f"the servers run as system user {account.name}, who cannot enter {blocked}: "
            "name a folder that this user can reach in REPLANK_RUNTIME_DIR"
        )
    return root


def lock_folder(path: Path) -> int | None:
    """A descriptor that holds the folder's lock, or None if another process has it or the folder is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The folder may have been removed between the two calls; then we hold the lock of nothing.
        if os.fstat(descriptor).st_ino != path.stat().st_ino:
            raise FileNotFoundError(path)
    except OSError:
        os.close(descriptor)
        return None
    _held_locks.add(descriptor)
    return descriptor


def unlock_folder(descriptor: int) -> None:
    """Give the lock back. Does nothing in a forked child, which never held it."""
    if descriptor in _held_locks:
        _held_locks.discard(descriptor)
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove a folder; a server that has just ended may have added a file meanwhile, so try for a while.

    Raises OSError when it cannot be removed within `REMOVAL_DEADLINE_S`.
    """
    deadline = time.monotonic() + REMOVAL_DEADLINE_S
    while True:
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            if not path.exists():
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@dataclass(frozen=True, kw_only=True)
class OwnedFolder:
    """A folder of ours, `<kind>-<random>` under the runtime root, locked while this process lives."""

    path: Path
    lock: int

    @classmethod
    def create(cls, kind: str, account: ServerAccount | None) -> "OwnedFolder":
        """A new folder with its owner file, before any server runs in it."""
        root = runtime_root(account)
        for _attempt in range(10):
            path = root / f"{kind}-{secrets.token_hex(6)}"
            path.mkdir(mode=0o700)
            lock = lock_folder(path)
            # A cleaner may have locked and removed the folder in the moment before we locked it.
            if lock is None:
                continue
            (path / OWNER_FILE).write_text(json.dumps(asdict(Owner.current())), encoding="utf-8")
            path.chmod(0o700 if account is None else 0o711)
            return cls(path=path, lock=lock)
        raise EmbeddedServerError(f"no folder under {root} can be locked: name one on another file system")

    def remove(self) -> None:
        """Remove the folder with all in it, then give the lock back."""
        remove_tree(self.path)
        unlock_folder(self.lock)
