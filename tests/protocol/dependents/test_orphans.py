"""Rows without a parent behind valid foreign keys: what a run does with them, and with those made meanwhile."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg import errors
from support.oracles.journal_oracle import foreign_keys_hold
from support.oracles.oracle import count, differences, live, one, past
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, table

from monitoring.catalogue_diff.changes import catalogue_changes
from monitoring.status.suggestions import suggestion
from producer.rollback.rollback import roll_back
from replank.values.states import RunState

pytestmark = [pytest.mark.protocol, pytest.mark.core]

Begin = Callable[..., Rebuild]
KEYS = (
    "SELECT conname::text, convalidated FROM pg_constraint"
    " WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
)


@pytest.fixture
def shop(app: psycopg.Connection) -> None:
    """Two tables of the plan, one outside that refers to them, and an orphan of each."""
    app.execute("CREATE TABLE users (id text PRIMARY KEY)")
    app.execute("INSERT INTO users SELECT gen_random_uuid() FROM generate_series(1, 50)")
    app.execute("CREATE TABLE post (id text PRIMARY KEY, author text REFERENCES users, n int UNIQUE)")
    app.execute("INSERT INTO post SELECT gen_random_uuid(), id, row_number() OVER () FROM users")
    app.execute("CREATE TABLE mark (n int REFERENCES post (n))")
    app.execute("INSERT INTO mark VALUES (1), (2)")


def _orphans(app: psycopg.Connection) -> None:
    app.execute("SET session_replication_role = replica")
    app.execute("INSERT INTO post VALUES (gen_random_uuid(), gen_random_uuid(), 99)")
    app.execute("INSERT INTO mark VALUES (-7)")
    app.execute("RESET session_replication_role")


@pytest.mark.attack("C9", "orphans that the plan lets stay, there and back")
@pytest.mark.usefixtures("shop")
def test_with_consent_they_stay_and_their_keys_come_back_not_valid(
    app: psycopg.Connection, begin: Begin, attack: Attack
) -> None:
    _orphans(app)
    rebuild = begin(table("users", "id"), table("post", "id", "author"), consent=("orphans",))
    rebuild.finish()
    # Then no row is lost, and both keys check new rows, and only these
    assert differences(app, past("post"), live("post"), ("id", "author")) == []
    assert dict(app.execute(KEYS.encode()).fetchall()) == {"post_author_fkey": False, "mark_n_fkey": False}
    with pytest.raises(errors.ForeignKeyViolation):
        app.execute("INSERT INTO post VALUES (gen_random_uuid(), gen_random_uuid(), 100)")
    with pytest.raises(errors.ForeignKeyViolation):
        app.execute("INSERT INTO mark VALUES (-8)")
    explained = {c.name: c.reason for c in catalogue_changes(rebuild.connection, rebuild.run)}
    assert "1 row without a parent" in explained["post_author_fkey"]
    # And a rollback brings all of it back, with what was written since
    app.execute("INSERT INTO post SELECT gen_random_uuid(), id, 101 FROM users LIMIT 1")
    roll_back(rebuild.connection, say=lambda _: None, sleep=lambda _: None)
    assert count(app, live("post")) == 52
    assert one(app, "SELECT count(*) FROM post p WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = p.author)") == 1
    assert {name for name, _ in app.execute(KEYS.encode()).fetchall()} == {"post_author_fkey", "mark_n_fkey"}
    attack.record("kept, there and back, and said", tried=2, lost=0)


@pytest.mark.attack("C9", "orphans made while a run is under way")
@pytest.mark.usefixtures("shop")
def test_those_made_during_a_run_wait_for_the_operator(
    app: psycopg.Connection, begin: Begin, database: Url, attack: Attack
) -> None:
    # Given a session that switches triggers off after the count; capture fires for it all the same
    rebuild = begin(table("users", "id"), table("post", "id", "author"))
    rebuild.ready()
    _orphans(app)
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    # Then the tables have changed places, nothing is missing, and the jobs that prove the keys wait
    assert differences(app, past("post"), live("post"), ("id", "author")) == []
    failed = rebuild.failures()
    assert {f.error_class for f in failed} == {"orphan"}
    assert len(failed) == 2
    assert "replank skip" in suggestion("orphan", job=failed[0].job_id)
    with pytest.raises(errors.ForeignKeyViolation):
        app.execute("INSERT INTO mark VALUES (-8)")
    # When the operator has removed them
    app.execute("DELETE FROM mark WHERE n < 0")
    app.execute("DELETE FROM post WHERE n = 99")
    rebuild.retry()
    rebuild.finish()
    assert [words for words in foreign_keys_hold(database) if words.startswith("public.")] == []
    attack.record("nothing was lost; the run waited", tried=2, lost=0)
