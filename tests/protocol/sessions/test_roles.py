"""Logins that are members of the tables' owner: what they become, and what the server hides from them of each other."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL
from pydantic import SecretStr
from support.oracles.oracle import one
from support.runs.harness import Rebuild, Url, eventually, table

from producer.check.check import audit
from producer.check.findings import Finding
from producer.check.trial.attempt import attempt
from producer.check.values.progress import ScanWatch
from producer.planning.resolution import PlanFile
from producer.rollback.rollback import roll_back
from replank.errors import NeedsOperator
from replank.plan.operation.governor_plan import GovernorPlan
from replank.plan.plan import Plan
from replank.settings import Settings
from replank.values.states import TableState
from sql.ledger.jobs import claims, job_queue, leased
from sql.ledger.jobs.claims import Job
from sql.ledger.runs import stopping
from sql.session.connection import connect
from sql.session.statements import Statement
from workers.stopping.soft_stop import worker_name

pytestmark = [pytest.mark.protocol, pytest.mark.core]

ROLES = ("m_owner", "m_other", "m_run", "m_worker")


class _Unwatched(ScanWatch):
    def begin(self, *, blocks: int) -> None: ...

    def scanned(self, table: str, *, table_blocks: int, blocks: int, rows: int) -> None: ...


@pytest.fixture
def tables(app: psycopg.Connection) -> Iterator[None]:
    """Two owners, of a table each that a foreign key joins; two logins without any membership yet."""
    app.execute("CREATE ROLE m_owner; CREATE ROLE m_other")
    app.execute("CREATE ROLE m_run LOGIN PASSWORD 'secret'; CREATE ROLE m_worker LOGIN PASSWORD 'secret'")
    app.execute(f"GRANT CREATE, TEMPORARY ON DATABASE {app.info.dbname} TO m_owner, m_other, m_run".encode())
    app.execute("GRANT USAGE, CREATE ON SCHEMA public TO m_owner, m_other, m_run")
    app.execute("CREATE TABLE parent (id text PRIMARY KEY)")
    app.execute("CREATE TABLE child (id text PRIMARY KEY, of text REFERENCES parent)")
    app.execute("INSERT INTO parent SELECT gen_random_uuid()::text FROM generate_series(1, 20)")
    app.execute("INSERT INTO child SELECT gen_random_uuid()::text, id FROM parent")
    app.execute("ALTER TABLE parent OWNER TO m_owner; ALTER TABLE child OWNER TO m_owner")
    yield
    app.execute("DROP OWNED BY m_owner, m_other, m_run, m_worker CASCADE; DROP ROLE m_owner, m_other, m_run, m_worker")


def _as(database: Url, role: str) -> Url:
    return make_conninfo(database, user=role, password="secret")


PLANNED = (table("parent", "id"), table("child", "id", "of"))
HIDDEN = GovernorPlan(off=("active_backends", "waiting_locks", "xmin_age"))
"""What a plan says without `pg_monitor`."""


def _check(app: psycopg.Connection, url: Url) -> list[Finding]:
    """The blockers; what others' sessions hide is left out of the plan."""
    planned = [each.planned.model_dump(by_alias=True) for each in PLANNED]
    said = {"database": {"name": app.info.dbname}, "tables": planned, "governor": HIDDEN.model_dump()}
    plan = Plan.model_validate(said)
    file = PlanFile(plan=plan, source="plan.toml", text="")
    return list(audit(Settings(database_url=SecretStr(url)), file, workers=1, watch=_Unwatched()).blockers)


@pytest.mark.usefixtures("tables")
def test_a_member_that_inherits_nothing_becomes_the_owner(app: psycopg.Connection, database: Url) -> None:
    app.execute("ALTER ROLE m_run NOINHERIT")
    app.execute("GRANT m_owner TO m_run")
    url = _as(database, "m_run")
    assert _check(app, url) == []
    rebuild = Rebuild.begin(url, PLANNED, {}, governor=HIDDEN)
    rebuild.finish()
    assert one(app, "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'replank'") == "m_owner"
    with connect(url, name="rollback") as connection:
        roll_back(connection, say=lambda _: None)
    rebuild.close()
    assert one(app, "SELECT count(*) FROM child c JOIN parent p ON p.id = c.of") == 20


@pytest.mark.usefixtures("tables")
def test_tables_of_two_owners(app: psycopg.Connection, database: Url) -> None:
    """The login stays what it is; both owners may create where their next tables are built."""
    app.execute("ALTER TABLE child OWNER TO m_other; GRANT REFERENCES, SELECT ON parent TO m_other")
    url = _as(database, "m_run")
    app.execute("GRANT m_owner TO m_run")
    assert "GRANT m_other TO m_run" in _words(_check(app, url))
    app.execute("GRANT m_other TO m_run")
    assert _check(app, url) == []
    rebuild = Rebuild.begin(url, PLANNED, {}, governor=HIDDEN)
    rebuild.finish()
    with connect(url, name="rollback") as connection:
        roll_back(connection, say=lambda _: None)
    rebuild.close()
    owners = "SELECT string_agg(relowner::regrole::text, ' ' ORDER BY relname) FROM pg_class WHERE relname = ANY (%s)"
    assert one(app, owners, ["child", "parent"]) == "m_other m_owner"


@pytest.mark.usefixtures("tables")
def test_memberships_that_are_not_enough(app: psycopg.Connection, database: Url) -> None:
    url = _as(database, "m_run")
    assert "GRANT m_owner TO m_run" in _words(_check(app, url))
    if app.info.server_version >= 160_000:
        app.execute("GRANT m_owner TO m_run WITH INHERIT TRUE, SET FALSE")
        said = _words(_check(app, url))
        assert "is a member of it but cannot SET ROLE to it (SET FALSE)" in said
        assert "GRANT m_owner TO m_run WITH INHERIT TRUE, SET TRUE" in said
        app.execute("REVOKE m_owner FROM m_run")
    app.execute("ALTER ROLE m_run NOINHERIT")
    app.execute("ALTER TABLE child OWNER TO m_other")
    app.execute("GRANT m_owner, m_other TO m_run")
    assert "cannot use its rights (NOINHERIT)" in _words(_check(app, url))


@pytest.mark.usefixtures("tables")
def test_policies_that_are_forced_on_the_owner(app: psycopg.Connection, database: Url) -> None:
    app.execute("GRANT m_owner TO m_run")
    app.execute("ALTER TABLE child ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    found = _check(app, _as(database, "m_run"))
    assert "row_security_forced" in [f.code for f in found]
    assert "ALTER TABLE public.child NO FORCE ROW LEVEL SECURITY" in _words(found)


@pytest.mark.usefixtures("tables")
def test_code_of_the_owner_does_not_get_the_logins_rights(app: psycopg.Connection, database: Url) -> None:
    """The session has become the owner, but a function may say RESET ROLE: so it is the login's rights that count."""
    app.execute("GRANT m_owner, m_other TO m_run")
    app.execute("CREATE FUNCTION fine(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true'")
    app.execute("ALTER FUNCTION fine OWNER TO m_owner; ALTER TABLE child ADD CHECK (fine(id))")
    assert [f.code for f in _check(app, _as(database, "m_run"))] == ["foreign_code"]


@pytest.mark.usefixtures("tables")
def test_a_worker_of_another_login_is_alive(app: psycopg.Connection, database: Url) -> None:
    """When its session began and what it does is hidden from the coordinator; that it is there is not."""
    worker, job = _busy_worker(app, database)
    with connect(_as(database, "m_run"), name="coordinator") as coordinator:
        app.execute("UPDATE replank.job SET lease_until = now() - interval '1 hour' WHERE state = 'leased'")
        hidden = "SELECT backend_start IS NULL FROM pg_stat_activity WHERE pid = %s"
        assert one(coordinator, hidden, worker.info.backend_pid)
        # In a transaction, it is at work
        worker.execute("BEGIN")
        assert job_queue.take_back_orphans(coordinator, job.run_id) == []
        assert leased.working_backends(coordinator, job.run_id) == [worker.info.backend_pid]
        # Idle past its lease, or gone, it is not
        worker.execute("ROLLBACK")
        assert leased.working_backends(coordinator, job.run_id) == []
        assert [each.job_id for each in job_queue.take_back_orphans(coordinator, job.run_id)] == [job.job_id]
        again = claims.claim(worker, run_id=job.run_id, job_id=job.job_id, worker="w1", lease_s=60)
        assert again is not None
        assert again.attempt == 2
        worker.close()  # And the job waits again, as soon as the server has noticed.
        eventually(
            lambda: [each.attempt for each in job_queue.take_back_orphans(coordinator, job.run_id)] == [2],
            "the job of a worker that is gone waits again",
        )


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("host", ["рабочий-сервер", "рабочий-сервер-" * 8, "worker-" * 12])
def test_a_worker_of_another_login_is_known_by_any_hosts_name(
    app: psycopg.Connection, database: Url, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Its session's beginning is hidden; PostgreSQL cuts the session's name by bytes, and escapes what is not ASCII."""
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    worker, job = _busy_worker(app, database, name=worker_name(4_194_304))
    with worker, connect(_as(database, "m_run"), name="coordinator") as coordinator:
        assert job_queue.take_back_orphans(coordinator, job.run_id) == []


@pytest.mark.usefixtures("tables")
def test_ending_sessions_of_another_login(app: psycopg.Connection, database: Url) -> None:
    """As `panic` and a rollback do: refused in words, or done, as the login is a member of the other or not."""
    worker, job = _busy_worker(app, database)
    with connect(_as(database, "m_run"), name="panic") as connection:
        with pytest.raises(NeedsOperator, match="may not end sessions of role m_worker") as refused:
            stopping.end_workers(connection, job.run_id)
        assert "GRANT m_worker TO m_run;" in refused.value.hint
        app.execute("GRANT m_worker TO m_run")
        assert stopping.end_workers(connection, job.run_id) == 1
        assert one(connection, "SELECT current_user::text") == "m_owner"
    with pytest.raises(psycopg.OperationalError):
        worker.execute("SELECT 1")


def _busy_worker(
    app: psycopg.Connection, database: Url, *, name: str = "w1"
) -> tuple[psycopg.Connection[tuple[object, ...]], Job]:
    """A worker's session with a leased job; the coordinator has another login."""
    app.execute("GRANT m_owner TO m_run, m_worker")
    rebuild = Rebuild.begin(_as(database, "m_run"), PLANNED, {}, governor=HIDDEN)
    rebuild.until(TableState.COPYING)
    worker = connect(_as(database, "m_worker"), name=f"worker {name}")
    (first, *_), run_id = rebuild.jobs("copy"), rebuild.run_id
    rebuild.close()
    job = claims.claim(worker, run_id=run_id, job_id=first, worker=name, lease_s=60)
    assert job is not None
    return worker, job


@pytest.mark.usefixtures("tables")
def test_a_trial_that_lacks_a_right_says_so(database: Url) -> None:
    """Nothing is wrong with the live table then."""
    with connect(_as(database, "m_run"), name="check") as connection:
        found = attempt(connection, None, "x", [Statement(sql=SQL("CREATE TABLE pg_catalog.x ()"))])
    assert found is not None
    assert "docs/roles.md" in found.hint


def _words(findings: list[Finding]) -> str:
    return "\n".join(f.words for f in findings)
