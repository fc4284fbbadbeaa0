"""A wide set under writers whose transactions last: it gets its locks, and nobody waits longer than the ceiling."""

import os
import threading
from collections.abc import Callable

import psycopg
import pytest
from rich.console import Console
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, eventually

from monitoring.status.read_status import read_status
from monitoring.terminal.screen import render
from protocol.swap.busy_set import Writers, create, swap_in_real_time

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

KEYS = [f"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a{n}" for n in (11, 22)]

LOADS = {
    "written at once": {"statements": (1, 1)},
    "written bit by bit": {"statements": (2, 5)},
    "without a rest": {"statements": (1, 1), "rest_s": 0.0},
    "bit by bit without a rest": {"statements": (2, 5), "rest_s": 0.0},
}


@pytest.mark.attack("C9", "a wide set under writers whose transactions go from table to table")
def test_a_wide_set_gets_its_locks_and_hurts_nobody(
    app: psycopg.Connection, begin: Begin, database: Url, attack: Attack
) -> None:
    """Short transactions, so that the test is short. No writer is the victim of a deadlock, and no write is lost."""
    rebuild = begin(*create(app, 20), cutover_wait_ms=1_000)
    rebuild.ready()
    with Writers(database, 20, statements=(1, 3), lasts_s=(0.1, 0.4), rest_s=0.2) as writers:
        swap_in_real_time(rebuild, within_s=90)
        written = len(writers.acknowledged)
        eventually(lambda: len(writers.acknowledged) > written + 8, "the application goes on in the new tables")
    (swapped,) = rebuild.sets
    lost = writers.lost(app)
    assert (writers.errors, lost) == ([], [])
    assert swapped.chance is not None
    assert 0 < swapped.chance <= 1
    (told,) = read_status(rebuild.connection).to_json()["sets"]
    assert told["longest_wait_ms"] == swapped.longest_wait_ms > 0
    assert told["chance"] == swapped.chance
    shown = Console(width=200, record=True)
    shown.print(render(read_status(rebuild.connection)))
    assert "longest wait of the application" in shown.export_text()
    attack.record("swapped", acknowledged=len(writers.acknowledged), lost=len(lost))


@pytest.mark.attack("C9", "a writer that waits for the swap and holds another table of the set")
def test_the_cutover_gives_way_before_the_server_would_end_anybody(
    app: psycopg.Connection, other: psycopg.Connection, begin: Begin, attack: Attack
) -> None:
    """They would wait for each other for ever: the server would end one of them after deadlock_timeout."""
    rebuild = begin(*create(app, 3), cutover_wait_ms=20_000)
    rebuild.ready()
    other.execute("INSERT INTO t2 (id, n) VALUES (%s, 0)", [KEYS[0]])
    swapping = threading.Thread(target=rebuild.swap)
    swapping.start()
    waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 't2'::regclass"
    eventually(lambda: app.execute(waits).fetchone() is not None, "the cutover waits for the writer")
    # Locked by the cutover by now. The statement ends because the cutover gives way.
    other.execute("SET deadlock_timeout = '30s'")
    other.execute("INSERT INTO t0 (id, n) VALUES (%s, 0)", [KEYS[1]])
    other.commit()
    swapping.join()
    assert app.execute("SELECT count(*) FROM t0 WHERE n = 0").fetchone() == (1,)
    assert app.execute("SELECT count(*) FROM t2 WHERE n = 0").fetchone() == (1,)
    attack.record("the cutover gave way", acknowledged=2, lost=0)


@pytest.mark.slow
@pytest.mark.parametrize("load", LOADS)
def test_a_wide_set_is_swapped_within_a_minute(app: psycopg.Connection, begin: Begin, database: Url, load: str) -> None:
    number = int(os.environ.get("REPLANK_TABLES", "60"))
    rebuild = begin(*create(app, number))
    rebuild.ready()
    with Writers(database, number, **LOADS[load]) as writers:  # type: ignore[arg-type]
        seconds = swap_in_real_time(rebuild, within_s=float(os.environ.get("REPLANK_WITHIN_S", "60")))
    (swapped,) = rebuild.sets
    app_ms = writers.longest_s * 1000
    print(f"FIGURES {load}: {number} tables, {seconds:.1f} s, missed {swapped.attempts}, errors {writers.errors}")
    print(f"FIGURES wait {swapped.lock_wait_ms:.0f}, hold {swapped.lock_hold_ms:.0f}, application {app_ms:.0f} ms")
    assert writers.errors == []
    assert writers.lost(app) == []
