"""An own Valkey (or Redis) for the demo and the tests."""

import logging
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from demo.embedded.accounts import write_private
from demo.embedded.binaries import valkey_executable
from demo.embedded.errors import EmbeddedServerError
from demo.embedded.hosting import HostedServer, discarded_on_failure, launch_on_free_port
from demo.embedded.leftovers import clean_leftovers

DEFAULT_SETTINGS = {
    # A broker that evicts keys loses messages without a word.
    "maxmemory-policy": "noeviction",
    "appendfsync": "everysec",
    "save": '""',
}
# Short: a stranger on that port may never answer, and then our server has ended already.
PROBE_TIMEOUT_S = 0.3

_log = logging.getLogger(__name__)


class EmbeddedValkey:
    """A Valkey server in a folder of its own, on 127.0.0.1, behind a random password.

    As a context manager it is started and stopped. Without stop() it goes when the process ends.
    """

    def __init__(self, *, settings: Mapping[str, str] | None = None, appendonly: bool = True) -> None:
        """Starts nothing yet.

        `settings` are lines of valkey.conf (name, and the rest of the line as it is) and override our
        defaults; without `appendonly` nothing survives kill(). Raises ValueError for a line break in them.
        """
        asked = dict(settings or {})
        if any("\n" in text for line in asked.items() for text in line):
            raise ValueError("a setting of Valkey cannot hold a line break")
        self._settings = DEFAULT_SETTINGS | {"appendonly": "yes" if appendonly else "no"} | asked
        self._executable = Path()
        self._server: HostedServer | None = None
        self.password: str = secrets.token_urlsafe(24)
        self.port: int = 0

    def start(self) -> None:
        """Start an empty server; returns when it answers.

        Raises EmbeddedServerError, with the end of the server's log when there is one.
        """
        if self._server is not None:
            raise EmbeddedServerError("this embedded Valkey was started already")
        for line in clean_leftovers():
            _log.info("embedded leftover: %s", line)
        server = HostedServer("valkey")
        with discarded_on_failure(server):
            self._executable = valkey_executable(server.account, server.folder)
            self._write_settings(server)
            self.port = launch_on_free_port(lambda port: self._launch(server, port))
        self._server = server

    def stop(self) -> None:
        """Stop the server, frozen or not, and remove its folder; nothing if it was not started."""
        server, self._server = self._server, None
        if server is not None:
            server.discard()

    def kill(self) -> None:
        """SIGKILL: what was appended to the file stays for resume(). Nothing if it is down already."""
        self._started().kill()

    def resume(self) -> None:
        """Start again after kill() on the same data and port.

        Raises EmbeddedServerError if the server runs, or does not come up.
        """
        self._launch(self._started(), self.port)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers, until thaw()."""
        self._started().signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after freeze()."""
        self._started().signal(signal.SIGCONT)

    def url(self) -> str:
        """`redis://:<password>@127.0.0.1:<port>/0`"""
        self._started()
        return self._url(self.port)

    @property
    def pid(self) -> int:
        """The server's process id; raises EmbeddedServerError if it does not run."""
        return self._started().pid

    @property
    def data_dir(self) -> Path:
        """The folder with the append-only files."""
        return self._started().data_dir

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _started(self) -> HostedServer:
        if self._server is None:
            raise EmbeddedServerError("this embedded Valkey is not started: call start() first")
        return self._server

    def _url(self, port: int) -> str:
        return f"redis://:{self.password}@127.0.0.1:{port}/0"

    def _write_settings(self, server: HostedServer) -> None:
        # Not for the caller to change: url() depends on it, and no other user shall get in.
        fixed = {
            "bind": "127.0.0.1",
            "requirepass": self.password,
            "daemonize": "no",
            "supervised": "no",
            "dir": _quoted(server.data_dir),
            "pidfile": _quoted(server.data_dir / "server.pid"),
            "logfile": '""',
            # The command line must keep naming this folder: that is how leftovers are recognised.
            "set-proc-title": "no",
        }
        lines = [f"{name} {value}" for name, value in (self._settings | fixed).items()]
        write_private(server.folder.path / "valkey.conf", "\n".join([*lines, ""]), server.account)

    def _launch(self, server: HostedServer, port: int) -> None:
        server.launch(
            [self._executable, server.folder.path / "valkey.conf", "--port", str(port)],
            accepts=lambda _pid: self._accepts(port),
        )

    def _accepts(self, port: int) -> bool:
        """Whether our own server answers: another one on that port does not know our password."""
        client = redis.Redis.from_url(
            self._url(port),
            socket_timeout=PROBE_TIMEOUT_S,
            socket_connect_timeout=PROBE_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()


def _quoted(path: Path) -> str:
    """A path as valkey.conf wants it, blanks and all."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
