"""An own PostgreSQL for the demo and the tests."""

import logging
import re
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from demo.embedded.accounts import write_private
from demo.embedded.binaries import has_library, postgres_bin_dir
from demo.embedded.errors import EmbeddedServerError
from demo.embedded.hosting import START_DEADLINE_S, HostedServer, discarded_on_failure, launch_on_free_port
from demo.embedded.leftovers import clean_leftovers
from demo.embedded.passwords import scram_verifier
from demo.embedded.processes import run_program

SUPERUSER = "postgres"
DEFAULT_SETTINGS = {
    # A backend whose client is gone ends within a second, so a killed worker's transaction does too.
    "client_connection_check_interval": "1s",
    "max_connections": "200",
    # Bulk copying should not be measured against checkpoints.
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "shared_buffers": "256MB",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Not for the caller to change: url() depends on it, and no other user shall get in.
FIXED_SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "logging_collector": "off"}
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
STOP_PATIENCE_S = 30.0
# Replaying up to max_wal_size of log after a crash takes its time.
RECOVERY_DEADLINE_S = 180.0

_log = logging.getLogger(__name__)


class EmbeddedPostgres:
    """A PostgreSQL server in a folder of its own, on 127.0.0.1, behind a random password.

    As a context manager it is started and stopped. Without stop() it goes when the process ends.
    """

    def __init__(
        self, *, settings: Mapping[str, str] | None = None, binaries: Path | None = None, durable: bool = True
    ) -> None:
        """Starts nothing yet.

        `settings` are lines of postgresql.conf and override our defaults; `binaries` is a folder with
        `postgres` and `initdb`, instead of the wheel's; `durable=False` is faster and loses data when the
        machine (not just the server) stops. Raises ValueError for a setting's impossible name.
        """
        asked = dict(settings or {})
        for name in asked:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_$]*)*", name):
                raise ValueError(f"{name!r} cannot be the name of a PostgreSQL setting")
        self._settings = DEFAULT_SETTINGS | ({} if durable else NOT_DURABLE) | asked
        self._asked_binaries = binaries
        self._server: HostedServer | None = None
        self.password: str = secrets.token_urlsafe(24)
        self.port: int = 0
        self.version: str = ""
        self.bin_dir: Path = binaries or Path()

    def start(self) -> None:
        """Make a new cluster and start it; returns when it accepts connections, in 1 to 2 s.

        Raises EmbeddedServerError, with the end of the server's log when there is one.
        """
        if self._server is not None:
            raise EmbeddedServerError("this embedded PostgreSQL was started already")
        for line in clean_leftovers():
            _log.info("embedded leftover: %s", line)
        server = HostedServer("postgres")
        with discarded_on_failure(server):
            self.bin_dir = postgres_bin_dir(self._asked_binaries, server.account, server.folder)
            self._make_cluster(server)
            self._write_settings(server)
            self.port = launch_on_free_port(lambda port: self._launch(server, port, START_DEADLINE_S))
        self._server = server

    def stop(self, *, mode: str = "fast") -> None:
        """Stop the server (`smart`, `fast` or `immediate`) and remove its folder; nothing if not started."""
        if mode not in STOP_SIGNALS:
            raise ValueError(f"{mode!r} is no way to stop PostgreSQL: {', '.join(STOP_SIGNALS)}")
        server, self._server = self._server, None
        if server is not None:
            if server.is_owned:
                server.end(STOP_SIGNALS[mode], STOP_PATIENCE_S)
            server.discard()

    def crash(self) -> None:
        """Stop as in a crash: no checkpoint, connections cut, the data kept for resume().

        Does nothing if the server is down already.
        """
        self._started().end(signal.SIGQUIT, STOP_PATIENCE_S)

    def resume(self) -> None:
        """Start again after crash() on the same data and port; returns when recovery is done.

        Raises EmbeddedServerError if the server runs, or does not come up.
        """
        self._launch(self._started(), self.port, RECOVERY_DEADLINE_S)

    def url(self, database: str = "postgres") -> str:
        """`postgresql://postgres:<password>@127.0.0.1:<port>/<database>`"""
        self._started()
        return self._url(self.port, database)

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create a database, as a copy of `template` if given; returns its url. Raises psycopg.Error."""
        # Files are copied as they are; the other strategy writes all of the template to the log first.
        statement = SQL("CREATE DATABASE {} STRATEGY file_copy").format(Identifier(name))
        if template is not None:
            statement += SQL(" TEMPLATE {}").format(Identifier(template))
        self._execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, cutting its connections; nothing if there is none. Raises psycopg.Error."""
        self._execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))

    @property
    def pid(self) -> int:
        """The postmaster's process id; raises EmbeddedServerError if it does not run."""
        return self._started().pid

    @property
    def data_dir(self) -> Path:
        """The cluster's data directory."""
        return self._started().data_dir

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _execute(self, statement: Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def _started(self) -> HostedServer:
        if self._server is None:
            raise EmbeddedServerError("this embedded PostgreSQL is not started: call start() first")
        return self._server

    def _url(self, port: int, database: str) -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{port}/{quote(database, safe='')}"

    def _make_cluster(self, server: HostedServer) -> None:
        password_file = server.folder.path / "password"
        write_private(password_file, scram_verifier(self.password) + "\n", server.account)
        command: list[str | Path] = [
            self.bin_dir / "initdb",
            *("-D", server.data_dir, "--username", SUPERUSER, "--pwfile", password_file),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync", "--no-instructions"),
        ]
        try:
            self._run_initdb(server, [*command, "--locale", "C.UTF-8"])
        except EmbeddedServerError as failed:
            if "invalid locale" not in str(failed):
                raise
            self._run_initdb(server, [*command, "--locale", "C"])
        finally:
            password_file.unlink()

    def _run_initdb(self, server: HostedServer, command: list[str | Path]) -> None:
        run_program(command, account=server.account, folder=server.folder.path, deadline_s=START_DEADLINE_S)

    def _write_settings(self, server: HostedServer) -> None:
        settings = dict(self._settings)
        if "shared_preload_libraries" not in settings and has_library(self.bin_dir, "pg_stat_statements"):
            settings["shared_preload_libraries"] = "pg_stat_statements"
        lines = [f"{name} = {_quoted(value)}" for name, value in (settings | FIXED_SETTINGS).items()]
        # Outside the data directory: its owner is another user than we when we are root.
        text = "\n".join(["include 'data/postgresql.conf'", *lines, ""])
        write_private(server.folder.path / "postgresql.conf", text, server.account)

    def _launch(self, server: HostedServer, port: int, deadline_s: float) -> None:
        config_file = server.folder.path / "postgresql.conf"
        server.launch(
            [
                self.bin_dir / "postgres",
                *("-D", server.data_dir, "-p", str(port), "-c", f"config_file={config_file}"),
            ],
            accepts=lambda pid: self._accepts(server.data_dir, pid, port),
            deadline_s=deadline_s,
        )

    def _accepts(self, data_dir: Path, pid: int, port: int) -> bool:
        """Whether our own server, not another on that port, is ready and lets us in."""
        try:
            state = (data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        # Line 1 is the process id, line 8 the state, as pg_ctl reads them.
        if len(state) < 8 or state[0] != str(pid) or state[7].strip() != "ready":
            return False
        try:
            with psycopg.connect(self._url(port, "postgres"), connect_timeout=5) as connection:
                # "18.6", or "15.18 (Debian 15.18-0+deb12u1)"
                reported = connection.info.parameter_status("server_version") or ""
        except psycopg.OperationalError:
            return False
        self.version = reported.split(" ")[0]
        return True


def _quoted(value: str) -> str:
    """A value as postgresql.conf wants it."""
    escaped = value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n")
    return f"'{escaped}'"
