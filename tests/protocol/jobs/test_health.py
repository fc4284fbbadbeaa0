"""The governor's signals, each brought over its limit on a real server and back."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from threading import Thread

import psycopg
import psycopg.conninfo
import pytest
from support.runs.waiting import wait_for

from demo.embedded import EmbeddedPostgres
from producer.dispatch.governor import read_machine
from replank.plan.operation.governor_plan import GovernorPlan
from sql.health.health_signals import Machine, Reading, read_health
from sql.session.connection import connect

pytestmark = pytest.mark.protocol

SETTINGS = {"wal_level": "replica", "max_wal_senders": "4", "max_prepared_transactions": "2"}
UNSEEN = Machine(cpus=None, data_directory=None)
FILL = "CREATE TABLE filled AS SELECT g, repeat('x', 1000) AS x FROM generate_series(1, 4000) AS g; DROP TABLE filled"
"""About 4 MB of WAL."""


@pytest.fixture(scope="module")
def archiving() -> Iterator[EmbeddedPostgres]:
    """A server whose archive command is not there yet: WAL waits for it."""
    with EmbeddedPostgres(durable=False, settings={**SETTINGS, "archive_mode": "on"}) as server:
        yield server


@pytest.fixture
def app(archiving: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(archiving.url(), autocommit=True) as connection:
        yield connection


def look(url: str, signal: str, *, machine: Machine = UNSEEN, **limits: object) -> list[Reading]:
    """The readings of one signal."""
    with connect(url, name="test") as connection:
        plan = GovernorPlan.model_validate(limits)
        return [reading for reading in read_health(connection, plan, machine) if reading.signal == signal]


def test_gotcha_22_wal_that_a_slot_holds_back(app: psycopg.Connection, archiving: EmbeddedPostgres) -> None:
    assert look(archiving.url(), "slot_retained") == []
    app.execute("SELECT pg_create_physical_replication_slot('idle', true)")
    app.execute(FILL)
    (reading,) = look(archiving.url(), "slot_retained", slot_retained_mb=2)
    assert reading.strain > 1
    assert reading.backlog
    assert "slot idle holds back" in reading.words
    assert look(archiving.url(), "slot_retained")[0].strain < 0.1

    # A slot that the server gives up at 4 MB is over its limit at 2, whatever the plan allows
    app.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '4MB'")
    app.execute("SELECT pg_reload_conf()")
    wait_for("the setting", lambda: look(archiving.url(), "slot_retained")[0].strain > 1)
    app.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
    app.execute("SELECT pg_reload_conf()")
    app.execute("SELECT pg_drop_replication_slot('idle')")
    assert look(archiving.url(), "slot_retained") == []


def test_gotcha_22_wal_that_waits_for_the_archive(app: psycopg.Connection, archiving: EmbeddedPostgres) -> None:
    app.execute(FILL)
    app.execute("SELECT pg_switch_wal()")
    (reading,) = look(archiving.url(), "archive_waiting", archive_waiting_mb=1)
    assert reading.strain >= 16, "a whole segment waits"
    app.execute("ALTER SYSTEM SET archive_command = 'true'")
    app.execute("SELECT pg_reload_conf()")
    wait_for(
        "the archive to be through",
        lambda: look(archiving.url(), "archive_waiting", archive_waiting_mb=1)[0].strain == 0,
        deadline_s=90,
    )
    app.execute("ALTER SYSTEM RESET archive_command")
    app.execute("SELECT pg_reload_conf()")


def test_gotcha_22_a_replica_that_lags(app: psycopg.Connection, archiving: EmbeddedPostgres) -> None:
    assert look(archiving.url(), "replay_lag") == []
    with standby(archiving) as url:
        wait_for("the replica", lambda: bool(look(archiving.url(), "replay_lag")))
        with psycopg.connect(url, autocommit=True) as replica:
            replica.execute("SELECT pg_wal_replay_pause()")
            app.execute(FILL)
            wait_for("lag", lambda: look(archiving.url(), "replay_lag", replay_lag_mb=2)[0].strain > 1)
            replica.execute("SELECT pg_wal_replay_resume()")
            wait_for("it to catch up", lambda: look(archiving.url(), "replay_lag", replay_lag_mb=2)[0].strain < 0.5)


def test_who_may_not_look_closes_the_window(app: psycopg.Connection, archiving: EmbeddedPostgres) -> None:
    app.execute("CREATE ROLE plain LOGIN PASSWORD 'secret'")
    try:
        url = psycopg.conninfo.make_conninfo(archiving.url(), user="plain", password="secret")
        unread = [signal for signal in ("archive_waiting", "waiting_locks", "xmin_age") if look(url, signal)[0].problem]
        assert unread == ["archive_waiting", "waiting_locks", "xmin_age"]
        with standby(archiving):
            wait_for("the replica", lambda: bool(look(archiving.url(), "replay_lag")))
            assert "GRANT pg_read_all_stats" in look(url, "replay_lag")[0].problem
        assert look(url, "xmin_age", off=["xmin_age"]) == []
        app.execute("GRANT pg_monitor TO plain")
        assert not look(url, "archive_waiting")[0].problem
    finally:
        app.execute("DROP ROLE plain")


def test_sessions_that_wait_and_statements_that_run(app: psycopg.Connection, archiving: EmbeddedPostgres) -> None:
    machine = Machine(cpus=1, data_directory=None)
    app.execute("CREATE TABLE locked (x int)")
    with psycopg.connect(archiving.url()) as holder, psycopg.connect(archiving.url()) as waiter:
        holder.execute("LOCK TABLE locked")
        waiting = Thread(target=waiter.execute, args=("SELECT FROM locked",))
        waiting.start()
        wait_for("the wait to count", lambda: look(archiving.url(), "waiting_locks", waiting_locks=1)[0].strain == 1)
        holder.rollback()
        waiting.join()
        assert look(archiving.url(), "waiting_locks")[0].strain == 0
        running = Thread(target=_until_cancelled, args=(waiter,))
        running.start()
        wait_for(
            "the statement to count",
            lambda: look(archiving.url(), "active_backends", machine=machine, active_backends_per_cpu=1)[0].strain == 1,
        )
        waiter.cancel_safe()
        running.join()
    app.execute("DROP TABLE locked")


def _until_cancelled(connection: psycopg.Connection) -> None:
    with contextlib.suppress(psycopg.errors.QueryCanceled):
        connection.execute("SELECT count(*) FROM generate_series(1, 2_000_000_000)")


def test_how_far_back_the_oldest_transaction_is(app: psycopg.Connection, archiving: EmbeddedPostgres) -> None:
    app.execute("BEGIN; CREATE TABLE kept (x int); PREPARE TRANSACTION 'forgotten'")
    for _ in range(20):
        app.execute("SELECT txid_current()")
    (reading,) = look(archiving.url(), "xmin_age", xmin_age=10)
    assert reading.strain > 1
    assert "prepared transaction forgotten" in reading.words
    app.execute("ROLLBACK PREPARED 'forgotten'")
    assert look(archiving.url(), "xmin_age", xmin_age=10)[0].strain < 1


def test_the_disk_where_it_can_be_seen(archiving: EmbeddedPostgres) -> None:
    with connect(archiving.url(), name="test") as connection:
        machine = read_machine(connection)
    assert machine.data_directory == archiving.data_dir
    assert look(archiving.url(), "free_disk", machine=machine)[0].strain > 0
    assert look(archiving.url(), "free_disk", machine=machine, free_disk_mb=10**9)[0].strain > 1
    assert look(archiving.url(), "free_disk") == []
    gone = Machine(cpus=None, data_directory=archiving.data_dir / "gone")
    assert look(archiving.url(), "free_disk", machine=gone)[0].problem


def test_a_query_of_the_applications_own(app: psycopg.Connection, archiving: EmbeddedPostgres) -> None:
    assert look(archiving.url(), "probe", probe="SELECT 1")[0].strain < 1
    slow = look(archiving.url(), "probe", probe="SELECT pg_sleep(60)", probe_ms=10)[0]
    assert 4 <= slow.strain < 100
    for wrong in ("SELECT nothing", "CREATE TABLE made_by_probe (x int)"):
        assert look(archiving.url(), "probe", probe=wrong)[0].problem
    assert app.execute("SELECT to_regclass('made_by_probe')").fetchone() == (None,)


@contextlib.contextmanager
def standby(primary: EmbeddedPostgres) -> Iterator[str]:
    """A streaming replica of the server: its URL."""
    with EmbeddedPostgres(durable=False, settings=SETTINGS) as server:
        server.crash()
        owner = server.data_dir.stat()
        for path in server.data_dir.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        base_backup = (primary.bin_dir / "pg_basebackup", "-d", primary.url(), "-D", server.data_dir)
        subprocess.run([*base_backup, "-R", "-c", "fast", "-X", "stream"], check=True)
        for path in (server.data_dir, *server.data_dir.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        server.password = primary.password
        server.resume()
        yield server.url()
