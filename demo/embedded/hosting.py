"""One server process in its own folder: started, watched until it answers, ended, taken away."""

import contextlib
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from signal import Signals

import psutil

from demo.embedded.accounts import ServerAccount, server_account
from demo.embedded.errors import EmbeddedServerError, PortTakenError
from demo.embedded.exits import discard_at_exit, forget
from demo.embedded.folders import OwnedFolder
from demo.embedded.processes import KILL_PATIENCE_S, end_servers_of, send, spawn_server, wait_until_ended

START_DEADLINE_S = 30.0
PORT_ATTEMPTS = 10
LOG_TAIL_LINES = 30
# Below the range that systems hand out to outgoing connections: while a crashed server is down, no client
# can be given its port (a client that keeps calling a dead local port may even connect to itself).
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port of 127.0.0.1 on which no process listens now."""
    for port in random.sample(PORTS, k=100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise EmbeddedServerError(f"no free port among 100 tried between {PORTS.start} and {PORTS.stop}")


class HostedServer:
    """A server process and its folder; the folder's life is the longer one."""

    def __init__(self, kind: str) -> None:
        """Make the folder; `kind` begins its name. Raises EmbeddedServerError."""
        self.kind = kind
        self.account: ServerAccount | None = server_account()
        self.folder = OwnedFolder.create(kind, self.account)
        self.log: Path = self.folder.path / "server.log"
        self.data_dir: Path = self.folder.path / "data"
        self._owner_pid = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        discard_at_exit(self)
        self.data_dir.mkdir(mode=0o700)
        if self.account is not None:
            os.chown(self.data_dir, self.account.uid, self.account.gid)

    @property
    def pid(self) -> int:
        """The running server's process id; raises EmbeddedServerError if it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise EmbeddedServerError(f"the embedded {self.kind} server is not running")
        return self._process.pid

    @property
    def is_owned(self) -> bool:
        """Whether this process made the server; a forked child of that process did not."""
        return os.getpid() == self._owner_pid

    @property
    def is_running(self) -> bool:
        """Whether the server's process exists."""
        return self._process is not None and self._process.poll() is None

    def launch(
        self,
        command: Sequence[str | Path],
        *,
        accepts: Callable[[int], bool],
        deadline_s: float = START_DEADLINE_S,
    ) -> None:
        """Start the process and wait until `accepts(pid)` says that it answers.

        Raises PortTakenError or EmbeddedServerError, with the end of the server's log, and no process then.
        """
        if self.is_running:
            raise EmbeddedServerError(f"the embedded {self.kind} server is running already")
        log_start = self.log.stat().st_size if self.log.exists() else 0
        deadline = time.monotonic() + deadline_s
        process = spawn_server(command, account=self.account, folder=self.folder.path, log=self.log)
        self._process = process
        while not accepts(process.pid):
            if process.poll() is not None:
                raise self._failure(f"ended with exit code {process.returncode}", log_start)
            if time.monotonic() > deadline:
                self.kill()
                raise self._failure(f"did not accept connections within {deadline_s:.0f} s", log_start)
            time.sleep(0.02)

    def signal(self, number: Signals) -> None:
        """Signal the running server; raises EmbeddedServerError if it does not run."""
        os.kill(self.pid, number)

    def end(self, number: Signals, patience_s: float) -> None:
        """Signal the server and wait for its end; SIGKILL after `patience_s`."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL the server and its children; the data stay as they are."""
        if self._process is None or self._process.poll() is not None:
            return
        family = [psutil.Process(self._process.pid)]
        with contextlib.suppress(psutil.NoSuchProcess):
            family += family[0].children(recursive=True)
        for process in family:
            send(process, Signals.SIGKILL)
        self._process.wait(KILL_PATIENCE_S)
        wait_until_ended(family, KILL_PATIENCE_S)

    def discard(self) -> None:
        """End whatever runs in the folder and remove it; does nothing in a forked child of the owner."""
        if not self.is_owned:
            return
        end_servers_of(self.folder.path)
        if self._process is not None:
            self._process.wait(KILL_PATIENCE_S)
        self.folder.remove()
        forget(self)

    def _failure(self, what: str, log_start: int) -> EmbeddedServerError:
        """The error for a failed start, with what the server has written since `log_start` (bytes)."""
        with self.log.open("rb") as log:
            log.seek(log_start)
            lines = log.read().decode(errors="replace").splitlines()
        tail = "\n".join(lines[-LOG_TAIL_LINES:])
        kind = PortTakenError if "Address already in use" in tail else EmbeddedServerError
        return kind(f"the embedded {self.kind} server {what}; the end of its log:\n{tail}")


@contextlib.contextmanager
def discarded_on_failure(server: HostedServer) -> Iterator[None]:
    """Leave nothing of a server whose start fails; the system's own errors become EmbeddedServerError."""
    try:
        yield
    except OSError as failed:
        server.discard()
        raise EmbeddedServerError(f"the embedded {server.kind} server could not be started: {failed}") from failed
    except BaseException:
        server.discard()
        raise


def launch_on_free_port(launch: Callable[[int], None]) -> int:
    """Call `launch(port)` until one port is not taken by another program meanwhile; returns that port.

    Raises PortTakenError after ten ports, and whatever else `launch` raises at once.
    """
    for attempt in range(1, PORT_ATTEMPTS + 1):
        port = free_port()
        try:
            launch(port)
        except PortTakenError:
            if attempt == PORT_ATTEMPTS:
                raise
        else:
            return port
    raise AssertionError("the last attempt returns or raises")
