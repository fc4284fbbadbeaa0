"""Whoever is in the way of a lock may wait itself: the messages name the session at the end of the chain."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from support.runs.harness import Rebuild, Url, table
from support.runs.waiting import wait_for

from producer.scripts.run_script import ScriptRunner
from producer.waiting.lock_retries import LockRetries
from replank.errors import NeedsOperator
from replank.values.states import RunState
from sql.scripts.script_templates import Block, Script
from sql.session.connection import Connection, connect

pytestmark = pytest.mark.protocol

SECRET = "a value of the root's statement"


@contextmanager
def chain(database: Url) -> Iterator[tuple[int, int]]:
    """A victim, which has read p and waits, and the root, which it waits for: their process numbers."""
    root = psycopg.connect(make_conninfo(database, application_name="nightly import"))
    victim = psycopg.connect(make_conninfo(database, application_name="web"))
    waiting = threading.Thread(target=lambda: victim.execute("UPDATE elsewhere SET n = 2"))
    try:
        root.execute("UPDATE elsewhere SET n = 1, words = %s", [SECRET])
        victim.execute("SELECT count(*) FROM p").fetchall()
        waiting.start()
        with psycopg.connect(database, autocommit=True) as look:
            blocked = "SELECT FROM pg_locks WHERE NOT granted AND pid = %s"
            wait_for("the victim to wait", lambda: bool(look.execute(blocked, [victim.info.backend_pid]).fetchall()))
        yield victim.info.backend_pid, root.info.backend_pid
    finally:
        root.rollback()
        waiting.join(10)
        victim.rollback()
        root.close()
        victim.close()


def _create(app: psycopg.Connection) -> None:
    app.execute("CREATE TABLE p (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO p SELECT gen_random_uuid(), i FROM generate_series(1, 50) AS i")
    app.execute("CREATE TABLE elsewhere (n int, words text)")
    app.execute("INSERT INTO elsewhere VALUES (0, '')")


def _names_the_root(words: str, victim: int, root: int) -> None:
    assert f"pid {victim} (web" in words, words
    assert f"pid {root} (nightly import, role postgres, idle in transaction, transaction open " in words, words
    assert words.index(f"pid {root}") < words.index(f"pid {victim}") or "waits for" in words
    assert "which no other session blocks" in words
    assert SECRET not in words


def test_the_cutover_names_the_root(app: psycopg.Connection, database: Url, begin: Callable[..., Rebuild]) -> None:
    _create(app)
    rebuild = begin(table("p", "id"), lock_timeout_ms=20, cutover_wait_ms=60, cutover_attempts=2)
    rebuild.ready()
    with chain(database) as (victim, root):
        assert rebuild.settle().state is RunState.NEEDS_OPERATOR
        _names_the_root(rebuild.why(), victim, root)
    rebuild.retry()
    rebuild.finish()


def test_capture_names_the_root(app: psycopg.Connection, database: Url, begin: Callable[..., Rebuild]) -> None:
    _create(app)
    app.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
    rebuild = begin(table("p", "id"), lock_timeout_ms=50, capture_attempts=2)
    with psycopg.connect(database) as writer, chain(database) as (victim, root):
        # A reader is not in the way of a trigger; who waits behind a writer is.
        writer.execute("UPDATE p SET n = n WHERE n = 1")
        del victim
        assert rebuild.settle().state is RunState.NEEDS_OPERATOR
        assert f"pid {writer.info.backend_pid} (no name, role postgres" in rebuild.why()
        assert f"pid {root}" in rebuild.why()


@pytest.fixture
def ours(database: Url) -> Iterator[Connection]:
    with connect(database, name="test", settings={"lock_timeout": "100ms"}) as opened:
        yield opened


def test_finish_and_rollback_name_the_root(app: psycopg.Connection, database: Url, ours: Connection) -> None:
    _create(app)
    lock_retries = LockRetries(connection=ours, attempts=2, sleep=lambda _: None, random_source=random.Random(1))
    with chain(database) as (victim, root), pytest.raises(NeedsOperator) as raised:
        lock_retries.until_granted(
            lambda: ours.execute("DROP TABLE public.p"), what="public.p", command="replank finish"
        )
    _names_the_root(str(raised.value), victim, root)
    assert "public.p is locked" in str(raised.value)
    assert "`replank finish` again" in str(raised.value)


def test_a_step_names_the_root(app: psycopg.Connection, database: Url, ours: Connection) -> None:
    _create(app)
    runner = ScriptRunner(
        connection=ours, attempts=2, sleep=lambda _: None, random_source=random.Random(1), command="replank run PLAN"
    )
    script = Script(
        name="a step",
        purpose="a test",
        lock_timeout_ms=100,
        blocks=(Block(purpose="", sql="DROP TABLE public.p"),),
    )
    with chain(database) as (victim, root), pytest.raises(NeedsOperator) as raised:
        runner.run(script, done=0)
    _names_the_root(str(raised.value), victim, root)
