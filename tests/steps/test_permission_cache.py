"""Step 04: what the cache says is what the query says, whoever changes what meanwhile."""

import random

import psycopg
import pytest

from producer.scripts.run_script import ScriptRunner
from steps.conftest import Compile
from steps.test_there_and_back import ASKED

pytestmark = pytest.mark.catalogue

TRUTH = """
SELECT jsonb_agg(p.permission ORDER BY p.permission) FROM membership m JOIN role_permission p USING (role)
 WHERE m.account_id = %s AND m.tenant_id = %s
"""


def _cached(session: psycopg.Connection, user: str, tenant: str) -> list[str] | None:
    found = session.execute("SELECT permission.permissions_of(%s, %s)", [user, tenant]).fetchone()
    assert found is not None
    return None if found[0] is None else sorted(found[0])


def _true(session: psycopg.Connection, user: str, tenant: str) -> list[str] | None:
    found = session.execute(TRUTH, [user, tenant]).fetchone()
    assert found is not None
    return found[0]


def _use(session: psycopg.Connection) -> tuple[int, int]:
    found = session.execute(
        "SELECT coalesce(sum(hits), 0), coalesce(sum(misses), 0) FROM permission.metrics"
    ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


@pytest.fixture(autouse=True)
def _cache(compiled: Compile, runner: ScriptRunner) -> None:
    runner.run(compiled(4, **ASKED[4]).forward)


def test_second_look_is_a_hit_until_a_source_changes(app: psycopg.Connection) -> None:
    assert _cached(app, "a1", "t2") == ["read"]
    assert _cached(app, "a1", "t2") == ["read"]
    assert _use(app) == (1, 1)
    app.execute("UPDATE membership SET role = 'admin' WHERE account_id = 'a1'")
    assert _cached(app, "a1", "t2") == ["read", "write"]
    assert _use(app) == (1, 2)
    app.execute("UPDATE membership SET role = 'admin' WHERE account_id = 'a3'")
    assert _cached(app, "a1", "t2") == ["read", "write"]
    assert _use(app) == (2, 2), "another user's change made this one's entry stale"
    app.execute("DELETE FROM role_permission WHERE permission = 'write'")
    assert _cached(app, "a1", "t2") == ["read"]
    app.execute("DELETE FROM membership WHERE account_id = 'a1'")
    assert _cached(app, "a1", "t2") is None


def test_what_others_have_not_committed_is_neither_seen_nor_kept(database: str, app: psycopg.Connection) -> None:
    assert _cached(app, "a1", "t2") == ["read"]
    with psycopg.connect(database) as writer:
        writer.execute("SET lock_timeout = '2s'")
        writer.execute("UPDATE membership SET role = 'admin' WHERE account_id = 'a1'")
        assert _cached(writer, "a1", "t2") == ["read", "write"]
        # Nobody waits for the writer, whose entry and change are not committed.
        app.execute("SET lock_timeout = '2s'")
        assert _cached(app, "a1", "t2") == ["read"]
        assert _cached(app, "a2", "t3") == ["read"]
    assert _cached(app, "a1", "t2") == ["read", "write"]


def test_an_entry_computed_before_the_change_was_committed_is_stale(database: str, app: psycopg.Connection) -> None:
    with psycopg.connect(database) as writer:
        writer.execute("UPDATE membership SET role = 'admin' WHERE account_id = 'a1'")
        assert _cached(app, "a1", "t2") == ["read"]
    assert _cached(app, "a1", "t2") == ["read", "write"]


def test_the_queue_warms_up_what_was_stale_and_expired_entries_are_computed_anew(app: psycopg.Connection) -> None:
    for number in range(1, 11):
        _cached(app, f"a{number}", f"t{1 + number % 5}")
    app.execute("UPDATE membership SET role = 'admin'")
    assert app.execute("SELECT permission.warm(1000)").fetchone() == (10,)
    before = _use(app)
    assert _cached(app, "a7", "t3") == ["read", "write"]
    assert _use(app) == (before[0] + 1, before[1])
    app.execute("UPDATE permission.cache SET expires_at = now()")
    assert _cached(app, "a7", "t3") == ["read", "write"]
    assert _use(app) == (before[0] + 1, before[1] + 1)
    app.execute("UPDATE permission.configuration SET enabled = false")
    assert _cached(app, "a7", "t3") == ["read", "write"]
    assert _use(app) == (before[0] + 1, before[1] + 2)


def test_sessions_that_interleave_at_random_see_the_truth(database: str, app: psycopg.Connection) -> None:
    game = random.Random(7)
    sessions = [psycopg.connect(database) for _ in range(3)]
    for session in sessions:
        session.execute("SET lock_timeout = '50ms'")
        session.commit()
    users = [("a1", "t2"), ("a2", "t3")]
    seen = 0
    for _ in range(600):
        session = game.choice(sessions)
        user, tenant = game.choice(users)
        try:
            match game.randrange(5):
                case 0:
                    role = game.choice(["admin", "member"])
                    session.execute("UPDATE membership SET role = %s WHERE account_id = %s", [role, user])
                case 1:
                    session.commit()
                case 2:
                    session.rollback()
                case _:
                    assert _cached(session, user, tenant) == _true(session, user, tenant)
                    seen += 1
        except psycopg.errors.LockNotAvailable:
            # Two changes of one membership: the application's own affair.
            session.rollback()
    for session in sessions:
        session.close()
    assert seen > 200
    assert _use(app)[0] > 20
