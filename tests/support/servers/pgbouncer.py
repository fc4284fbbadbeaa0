"""A PgBouncer of the tests' own, before a PostgreSQL of theirs; Debian's package where it is not on PATH."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

import psycopg

from demo.embedded.accounts import write_private
from demo.embedded.hosting import HostedServer, launch_on_free_port
from support.servers.system_packages import apt_commands, find_program, run_installer

PoolMode = Literal["session", "transaction", "statement"]

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
admin_users = {user}
pool_mode = {mode}
default_pool_size = {pool_size}
{more}
"""


class PgBouncer:
    """A pooler before the server of `url`, for all of its databases. A context manager."""

    def __init__(self, url: str, mode: PoolMode, *, pool_size: int = 20, more: str = "") -> None:
        """Starts nothing yet. `more`: further lines of the section [pgbouncer]."""
        self._url, self._mode, self._pool_size, self._more = url, mode, pool_size, more
        self._port = 0
        self._server: HostedServer | None = None

    def __enter__(self) -> Self:
        self._server = HostedServer("pgbouncer")
        self._port = launch_on_free_port(self._launch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.kill()
        self._server.discard()

    def url(self, database: str) -> str:
        """Where the application connects to `database`; the pooler itself knows the server's password."""
        return f"postgresql://{urlsplit(self._url).username}@127.0.0.1:{self._port}/{database}"

    def admin_url(self) -> str:
        return self.url("pgbouncer")

    def _launch(self, port: int) -> None:
        assert self._server is not None
        parts = urlsplit(self._url)
        text = CONFIGURATION.format(
            server_port=parts.port,
            user=parts.username,
            password=parts.password,
            port=port,
            mode=self._mode,
            pool_size=self._pool_size,
            more=self._more,
        )
        path = self._server.folder.path / f"pgbouncer-{port}.ini"
        write_private(path, text, self._server.account)
        self._port = port
        self._server.launch([_program(), path], accepts=lambda _pid: self._accepts())

    def _accepts(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.admin_url(), autocommit=True) as connection:
            return connection.execute("SHOW VERSION").fetchone() is not None
        return False


def _program() -> str:
    for attempt in (None, *apt_commands("pgbouncer")):
        if attempt is not None:
            run_installer(attempt)
        found = find_program("pgbouncer")
        if found is not None:
            return found
    raise AssertionError("no pgbouncer on PATH: install Debian's package `pgbouncer`, or your system's")
