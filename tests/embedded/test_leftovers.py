"""What a killed owner leaves is removed by the next start, and nothing else ever is."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from demo.embedded import EmbeddedValkey, clean_leftovers
from demo.embedded.folders import OWNER_FILE, Owner
from demo.embedded.processes import is_running
from embedded.conftest import OwningProcess

pytestmark = pytest.mark.faults


def runs(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    return psutil.pid_exists(pid) and is_running(psutil.Process(pid))


def kill(process: OwningProcess) -> None:
    """SIGKILL the owner, so that it can stop nothing."""
    process.process.kill()
    process.process.wait(timeout=20)


def wait_until_busy(url: str, backend: int) -> None:
    """Wait until that backend runs a query, for at most 10 s."""
    deadline = time.monotonic() + 10
    with psycopg.connect(url, autocommit=True) as connection:
        question = "SELECT state FROM pg_stat_activity WHERE pid = %s"
        while connection.execute(question, [backend]).fetchone() != ("active",):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def fake_instance(root: Path, name: str, owner: Owner) -> Path:
    """An instance's folder with that owner, and no server."""
    folder = root / name
    folder.mkdir()
    (folder / OWNER_FILE).write_text(json.dumps(asdict(owner)))
    return folder


def test_a_killed_owners_servers_are_cleaned_by_the_next_start(
    own: Callable[..., OwningProcess],
) -> None:
    # Given one owner that is killed while a query runs, and one that lives
    dead, alive = own("postgres,valkey", "wait"), own("valkey", "wait")
    postgres = dead.facts[0]
    with closing(psycopg.connect(postgres.url, autocommit=True)) as connection:
        backend = connection.info.backend_pid
        connection.pgconn.send_query(b"SELECT sum(i) FROM generate_series(1, 10000000000) i")
        wait_until_busy(postgres.url, backend)
        kill(dead)
        assert all(runs(server.pid) for server in dead.facts)

        # When a third process starts a server
        with EmbeddedValkey():
            # Then the dead one's servers and folders are gone, and the living one's answer
            assert not runs(backend)
            for server in dead.facts:
                assert not runs(server.pid)
                assert not Path(server.folder).exists()
            with redis.Redis.from_url(alive.facts[0].url) as client:
                assert client.ping()
            assert Path(alive.facts[0].folder).is_dir()


def test_two_cleaners_at_once_do_the_work_once(own: Callable[..., OwningProcess]) -> None:
    process = own("valkey", "wait")
    kill(process)

    with ThreadPoolExecutor(4) as pool:
        found = [future.result() for future in [pool.submit(clean_leftovers) for _ in range(4)]]

    assert sorted(len(lines) for lines in found) == [0, 0, 0, 1]
    (line,) = [line for lines in found for line in lines]
    assert process.facts[0].folder in line
    assert str(process.facts[0].pid) in line
    assert not runs(process.facts[0].pid)
    assert not Path(process.facts[0].folder).exists()


def test_a_reused_process_id_is_not_the_owner(runtime_root: Path) -> None:
    me = Owner.current()
    earlier = replace(me, started_at=me.started_at - 60, started_after_boot=me.started_after_boot - 60)
    folder = fake_instance(runtime_root, "valkey-0123456789ab", earlier)

    assert len(clean_leftovers()) == 1
    assert not folder.exists()


def test_a_living_owners_folder_stays_even_without_its_lock(runtime_root: Path) -> None:
    me = Owner.current()
    # The wall clock was set by an hour since the owner wrote its file.
    folder = fake_instance(runtime_root, "valkey-0123456789ab", replace(me, started_at=me.started_at - 3600))

    assert clean_leftovers() == []
    assert folder.is_dir()

    (folder / OWNER_FILE).unlink()
    assert len(clean_leftovers()) == 1


def test_a_strangers_process_is_never_signalled(runtime_root: Path) -> None:
    # Given a dead owner's folder whose pid files name a process that is none of its servers
    dead = replace(Owner.current(), started_at=0.0, started_after_boot=0.0)
    folder = fake_instance(runtime_root, "postgres-0123456789ab", dead)
    (folder / "data").mkdir()
    # It even names the folder on its command line, and works inside it.
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", str(folder / "data")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=folder) as stranger:
        for name in ("postmaster.pid", "server.pid"):
            (folder / "data" / name).write_text(f"{stranger.pid}\n")

        # When leftovers are cleaned
        cleaned = clean_leftovers()

        # Then only the folder is gone
        assert len(cleaned) == 1
        assert not folder.exists()
        assert stranger.poll() is None
        assert stranger.stdin is not None
        stranger.stdin.close()


def test_other_files_in_the_runtime_root_are_left_alone(runtime_root: Path) -> None:
    kept = [runtime_root / "postgres-mine", runtime_root / "notes"]
    for path in kept:
        path.mkdir()

    assert clean_leftovers() == []

    for path in kept:
        path.rmdir()


def test_another_users_folder_is_left_alone(runtime_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = replace(Owner.current(), started_at=0.0, started_after_boot=0.0)
    folder = fake_instance(runtime_root, "valkey-0123456789ab", dead)
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    else:
        # Only root can give a folder away; anybody else can look at it as another user would.
        real, root_state = os.geteuid(), runtime_root.stat()
        assert root_state.st_uid == real
        monkeypatch.setattr("demo.embedded.leftovers.os.geteuid", lambda: real + 1)
        monkeypatch.setattr("demo.embedded.leftovers.runtime_root", lambda _account: runtime_root)

    assert clean_leftovers() == []
    assert folder.is_dir()

    monkeypatch.undo()
    if os.geteuid() == 0:
        os.chown(folder, 0, 0)
    monkeypatch.setenv("REPLANK_RUNTIME_DIR", str(runtime_root))
    assert len(clean_leftovers()) == 1
