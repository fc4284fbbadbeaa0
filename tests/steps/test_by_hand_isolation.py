"""The pass by psql in a database whose transactions are REPEATABLE READ unless they say otherwise."""

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.runs.attacks import Attack

from steps.dumps import psql
from steps.hand_shop import UUIDS, compile_by_hand, execute, name_of, plan_of, type_of, written

pytestmark = pytest.mark.catalogue

WAITED_FOR = """
SELECT EXISTS (SELECT FROM pg_locks AS wanted JOIN pg_locks AS held USING (locktype, database, relation)
                WHERE NOT wanted.granted AND held.granted AND held.pid = pg_backend_pid())
"""
PATIENCE_S = 0.15


class LateCommits:
    """Transactions that commit when somebody waits for their locks, or after a moment; a journal of what was told."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self.acknowledged: list[str] = []

    @contextlib.contextmanager
    def going(self) -> Iterator[None]:
        self._stop.clear()
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _write(self) -> None:
        with psycopg.connect(self._url, prepare_threshold=None) as session:
            while not self._stop.is_set():
                key = str(uuid.uuid4())
                try:
                    session.execute(
                        "INSERT INTO orders (id, person_id, at, total)"
                        " SELECT %s, id, '2026-03-03', 0 FROM person LIMIT 1",
                        [key],
                    )
                    self._wait_to_be_waited_for(session)
                    session.commit()
                except (psycopg.errors.DeadlockDetected, psycopg.errors.UndefinedTable):
                    session.rollback()
                    continue
                self.acknowledged.append(key)

    def _wait_to_be_waited_for(self, session: psycopg.Connection) -> None:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and not self._stop.is_set():
            if session.execute(WAITED_FOR).fetchone() == (True,):
                return

    def lost(self) -> int:
        """How many acknowledged rows are not there."""
        with psycopg.connect(self._url) as session:
            found = session.execute("SELECT id::text FROM orders WHERE at = '2026-03-03'").fetchall()
        return len(set(self.acknowledged) - {key for (key,) in found})


@pytest.mark.attack("A1", "default isolation REPEATABLE READ: the steps' scripts by psql, there and back")
def test_what_commits_while_psql_waits_for_its_lock_is_kept(
    shops: tuple[str, str], tmp_path: Path, attack: Attack
) -> None:
    shop = shops[0]
    execute(shop, "DROP MATERIALIZED VIEW totals")
    with psycopg.connect(shop, autocommit=True) as session:
        session.execute(
            SQL("ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'").format(
                Identifier(name_of(shop))
            )
        )
    files = written(compile_by_hand(shop, plan_of(name_of(shop), UUIDS, lock_timeout_ms=1_000)), tmp_path)
    writer = LateCommits(shop)
    # When the pass, and then its rollback, wait for writers that commit meanwhile
    with writer.going():
        psql(shop, files[0])
    assert type_of(shop, "orders") == "uuid"
    assert writer.acknowledged
    assert writer.lost() == 0
    with writer.going():
        psql(shop, files[-1])
    # Then every row that was acknowledged is there
    assert type_of(shop, "orders") == "text"
    assert writer.lost() == 0
    attack.record("swapped and back by psql, every row kept", acknowledged=len(writer.acknowledged), lost=0)
