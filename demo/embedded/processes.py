"""Running a server's programs, and finding and ending those that belong to one folder."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from demo.embedded.accounts import ServerAccount
from demo.embedded.errors import EmbeddedServerError

SERVER_NAMES = frozenset({"initdb", "postgres", "redis-server", "valkey-server"})
# PostgreSQL needs a moment to end its own children in order; the others lose nothing by SIGKILL.
ORDERLY_NAMES = frozenset({"initdb", "postgres"})
ORDERLY_PATIENCE_S = 6.0
KILL_PATIENCE_S = 10.0


def _environment() -> dict[str, str]:
    """Our environment without what would change a server's behaviour, messages in English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C"}


def run_program(
    command: Sequence[str | Path], *, account: ServerAccount | None, folder: Path, deadline_s: float
) -> str:
    """Run a program to its end in `folder` and return what it printed.

    Raises EmbeddedServerError if it cannot be run, fails or takes longer than `deadline_s`.
    """
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=deadline_s,
            check=True,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except subprocess.CalledProcessError as failed:
        raise EmbeddedServerError(f"{command[0]} failed:\n{failed.output}") from failed
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise EmbeddedServerError(f"{command[0]} could not be run: {failed}") from failed
    return done.stdout


def spawn_server(
    command: Sequence[str | Path], *, account: ServerAccount | None, folder: Path, log: Path
) -> subprocess.Popen[bytes]:
    """Start a server that writes to `log`; the terminal's Ctrl-C does not reach it."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except OSError as failed:
        raise EmbeddedServerError(f"{command[0]} could not be run: {failed}") from failed
    finally:
        os.close(descriptor)


def is_running(process: psutil.Process) -> bool:
    """Whether the process still runs; one that is dead and not yet waited for does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def belongs_to(process: psutil.Process, folder: Path) -> bool:
    """Whether this is a server of that folder.

    It must bear a server's name, and its command line must name the folder (our servers', always) or it
    must work inside it (PostgreSQL's children, whose command line is a title).
    """
    try:
        if process.name() not in SERVER_NAMES or not is_running(process):
            return False
        if any(Path(argument).is_relative_to(folder) for argument in process.cmdline()):
            return True
        return Path(process.cwd()).is_relative_to(folder)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def servers_of(folder: Path) -> list[psutil.Process]:
    """All running servers of that folder."""
    return [process for process in psutil.process_iter() if belongs_to(process, folder)]


def wait_until_ended(processes: Sequence[psutil.Process], patience_s: float) -> list[psutil.Process]:
    """Wait until they have ended; those that still run after `patience_s` are returned."""
    deadline = time.monotonic() + patience_s
    running = [process for process in processes if is_running(process)]
    while running and time.monotonic() < deadline:
        time.sleep(0.02)
        running = [process for process in running if is_running(process)]
    return running


def send(process: psutil.Process, number: signal.Signals) -> None:
    """Signal a process unless it has ended; psutil makes sure that the process id was not reused."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def ask_to_end(process: psutil.Process) -> None:
    """The harshest signal that still lets the server put away its shared memory and its children."""
    try:
        name = process.name()
    except psutil.NoSuchProcess:
        return
    send(process, signal.SIGQUIT if name in ORDERLY_NAMES else signal.SIGKILL)


def end_servers_of(folder: Path) -> list[int]:
    """End whatever server runs in that folder without regard for its data; returns their process ids.

    Raises EmbeddedServerError if one survives.
    """
    found = servers_of(folder)
    for process in found:
        ask_to_end(process)
    wait_until_ended(found, ORDERLY_PATIENCE_S)
    # Looked for again: a child may have been started after the first look.
    stubborn = servers_of(folder)
    for process in stubborn:
        send(process, signal.SIGKILL)
    survivors = wait_until_ended(stubborn, KILL_PATIENCE_S)
    if survivors:
        pids = ", ".join(str(process.pid) for process in survivors)
        raise EmbeddedServerError(f"process {pids} of {folder} does not end, not even by SIGKILL")
    return [process.pid for process in found]
