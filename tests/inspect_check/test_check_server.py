"""What the server, the role and other sessions say against a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unittest import mock

import psycopg
import pytest
from pydantic import SecretStr
from support.runs.attacks import Attack

from demo.embedded import EmbeddedPostgres
from inspect_check.conftest import Counting, Database, only
from producer.check.check import audit
from producer.check.server import disk, server
from producer.check.server.server import _version
from producer.cli.inspect_and_check import in_words
from producer.planning.prepared_run import PreparedRun, prepare_run
from replank.errors import TryAgain
from replank.settings import Settings
from sql.health.server_machine import local_data_directory
from sql.session.connection import connect

pytestmark = pytest.mark.catalogue

Role = Callable[[], tuple[str, str]]


def _audited(database: Database) -> PreparedRun:
    file = database.plan({"t": ["id"]})
    with connect(database.url, name="test") as connection:
        return prepare_run(connection, file)


@pytest.fixture
def table(database: Database) -> Database:
    """A database with one small table."""
    database.run("CREATE TABLE t (id text PRIMARY KEY)", "INSERT INTO t VALUES (gen_random_uuid())")
    return database


@pytest.mark.parametrize(
    ("version", "expected"),
    [(140_012, (True, "14.12")), (150_000, None), (180_004, None), (190_000, (False, "19.0"))],
)
def test_versions_before_15_block_and_after_18_warn(
    table: Database, version: int, expected: tuple[bool, str] | None
) -> None:
    found = list(_version(replace(_audited(table).server, version=version)))
    assert [(f.blocks, f.message.split()[4].rstrip(";")) for f in found] == ([] if expected is None else [expected])


def test_a_role_without_rights_is_told_each_of_them(table: Database, role: Role) -> None:
    # Given a role that may read one table, which somebody else owns, and not the other
    name, url = role()
    table.run("CREATE TABLE other (id text PRIMARY KEY)", "INSERT INTO other VALUES ('word')")
    with psycopg.connect(table.url, autocommit=True) as connection:
        connection.execute(f"GRANT SELECT ON t TO {name}")
    report = table.check({"t": ["id"], "other": ["id"]}, url=url)
    # Then nothing breaks, and each right is named
    said = [f.message for f in report.blockers]
    assert {f.code for f in report.blockers} == {"no_privilege", "signal_unreadable"}
    assert any("create schemas in this database" in message for message in said)
    assert any("public.t is not owned" in message for message in said)
    assert any("public.other cannot be read" in message for message in said)
    assert "waits for their snapshots and locks" in only(report.warnings, "activity_hidden").message


def test_the_owner_of_everything_needs_no_superuser(database: Database, role: Role) -> None:
    # Given an ordinary role that owns its tables, and a table at the other end that is not planned
    name, url = role()
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"GRANT CREATE ON DATABASE {database.name} TO {name}")
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {name}")
        connection.execute(f"GRANT pg_read_all_stats TO {name}")
        connection.execute("CREATE TABLE plans (id integer PRIMARY KEY)")
        connection.execute(f"GRANT REFERENCES ON plans TO {name}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id text PRIMARY KEY, plan_id integer REFERENCES plans)")
    # Then only the lock on the other table is missing
    report = database.check({"t": ["id"]}, url=url)
    assert [(f.code, f.table) for f in report.blockers] == [("no_privilege", "public.plans")]
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"GRANT UPDATE ON plans TO {name}")
    assert database.check({"t": ["id"]}, url=url).blockers == ()


def test_the_need_is_compared_with_the_servers_own_disk(table: Database) -> None:
    # Given a server on this machine, whose data directory can be seen
    subject = _audited(table)
    with connect(table.url, name="test") as connection:
        directory = local_data_directory(connection, subject.server.system_identifier)
        assert directory is not None
        free = disk.free_bytes(directory)
        assert free is not None
        assert free > 0
        # When the need is more than that, the check blocks
        with mock.patch.object(disk, "needed_bytes", return_value=free * 2):
            (found,) = disk.audit_disk(connection, subject, max_wal_bytes=0)
            assert (found.code, found.blocks) == ("disk_space", True)
        # And where the directory is another server's, nothing is claimed
        (found,) = disk.audit_disk(
            connection, replace(subject, server=replace(subject.server, system_identifier="1")), max_wal_bytes=0
        )
        assert (found.code, found.blocks) == ("disk_unknown", False)
        assert found.details["need_bytes"] >= 1.3 * 2 * 8192


def test_sessions_in_the_way_are_told(table: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a transaction that has been open for longer than the limit, and one that was prepared and forgotten
    monkeypatch.setattr(server, "LONG_TRANSACTION_S", 0.0)
    with psycopg.connect(table.url, application_name="nightly report") as slow:
        slow.execute("SELECT 1")
        with psycopg.connect(table.url, autocommit=True) as connection:
            connection.execute("BEGIN")
            connection.execute("CREATE TABLE forgotten ()")
            connection.execute("PREPARE TRANSACTION 'forgotten'")
        try:
            report = table.check({"t": ["id"]})
        finally:
            table.run("ROLLBACK PREPARED 'forgotten'")
        found = only(report.warnings, "long_transaction")
        assert found.details["pid"] == slow.info.backend_pid
        assert "nightly report" in found.message
        assert only(report.warnings, "prepared_transaction").details["gid"] == "forgotten"
        assert report.blockers == ()


@pytest.mark.attack("C8", "FORCE ROW LEVEL SECURITY on a table of the run's own role")
def test_row_security_that_binds_the_owner_is_a_blocker(table: Database, role: Role, attack: Attack) -> None:
    name, url = role()
    with psycopg.connect(table.url, autocommit=True) as connection:
        connection.execute(f"GRANT CREATE ON DATABASE {table.name} TO {name}; GRANT CREATE ON SCHEMA public TO {name}")
        connection.execute(f"GRANT pg_read_all_stats TO {name}; ALTER TABLE t OWNER TO {name}")
        connection.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY")
    report = table.check({"t": ["id"]}, url=url)
    found = only(report.blockers, "row_security_forced")
    assert "BYPASSRLS" in found.hint
    attack.record("a blocker that names the table and what to do")


@pytest.mark.attack("C8", "a text key and a text column under a nondeterministic collation")
def test_a_nondeterministic_collation_is_no_error_of_the_check(database: Database, attack: Attack) -> None:
    try:
        database.run("CREATE COLLATION nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    except psycopg.errors.FeatureNotSupported:
        attack.record("this server was built without ICU")
        return
    database.run(
        "CREATE TABLE t (id text COLLATE nd PRIMARY KEY, name text COLLATE nd, many text[] COLLATE nd)",
        "INSERT INTO t SELECT gen_random_uuid(), 'x' || g, ARRAY['y'] FROM generate_series(1, 20) AS g",
    )
    # Then the check comes to its end; what it says of such columns is another matter
    database.check({"t": ["id"]})
    attack.record("checked to its end")


@pytest.mark.attack("C8", "500 partitions, and max_locks_per_transaction = 10")
def test_too_few_locks_are_a_blocker_with_the_number(attack: Attack) -> None:
    settings = {"max_locks_per_transaction": "10", "max_connections": "20"}
    with EmbeddedPostgres(durable=False, settings=settings) as small:
        url = small.create_database("small")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (id text PRIMARY KEY) PARTITION BY HASH (id)")
            for n in range(500):
                connection.execute(
                    f"CREATE TABLE t_{n} PARTITION OF t FOR VALUES WITH (MODULUS 500, REMAINDER {n})".encode()
                )
        report = Database(url=url, name="small").check({"t": ["id"]})
    found = only(report.blockers, "locks_short")
    assert (
        f"Run ALTER SYSTEM SET max_locks_per_transaction = {found.details['max_locks_per_transaction']}"
    ) in found.hint
    assert found.details["max_locks_per_transaction"] > 100
    attack.record("a blocker that says which setting to raise to what")


@pytest.mark.contrib
def test_a_slot_that_nobody_reads_is_told(table: Database) -> None:
    table.run("SELECT pg_create_logical_replication_slot('unread', 'test_decoding')")
    try:
        report = table.check({"t": ["id"]})
    finally:
        table.run("SELECT pg_drop_replication_slot('unread')")
    assert only(report.warnings, "slot_retains_wal").details["slot"] == "unread"


def test_a_table_that_somebody_holds_exclusively_is_no_endless_wait(table: Database) -> None:
    # Given a table under ACCESS EXCLUSIVE, and little patience
    settings = Settings(database_url=SecretStr(table.url), lock_timeout_ms=100)
    with psycopg.connect(table.url) as holder:
        holder.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        # Then the check ends with a word on what to do
        with pytest.raises(TryAgain, match=r"[Rr]un the command again|check` again"), in_words():
            audit(settings, table.plan({"t": ["id"]}), workers=2, watch=Counting())


def test_checks_leave_no_session_and_no_object(table: Database, postgres: EmbeddedPostgres) -> None:
    table.check({"t": ["id"]})
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        left = connection.execute("SELECT application_name FROM pg_stat_activity WHERE datname = %s", [table.name])
        assert left.fetchall() == []
    assert table.rows("SELECT FROM pg_namespace WHERE nspname LIKE 'replank%'") == []
