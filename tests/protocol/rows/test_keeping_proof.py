"""A table that is ready stays proved until it changes places: differences hold it, and are looked for meanwhile."""

import json
import random
from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import built, differences, live, on, one, past
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, table
from typer.testing import CliRunner

from monitoring.status.gates import CutoverWindow
from monitoring.status.read_status import read_status
from producer.coordinator import facts
from producer.rollback.finish import Finishing
from producer.stages import chunker
from replank.cli.app import build_app
from replank.errors import NeedsOperator
from replank.values.states import RunState, TableState
from sql.ledger.runs import runs

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

TAMPERED = {
    "row changed": "UPDATE replank_next.t SET note = 'planted' WHERE n = 7",
    "row missing": "DELETE FROM replank_next.t WHERE n = 7",
    "ghost": "INSERT INTO replank_next.t VALUES (gen_random_uuid(), -1, 'ghost')",
    "logged key lost": "UPDATE t SET note = 'logged' WHERE n = 7; DELETE FROM replank.log_1_1",
}


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small table has several chunks on both sides."""
    monkeypatch.setattr(chunker, "chunk_blocks", lambda *_: 1)


def _create(app: psycopg.Connection, name: str = "t", rows: int = 300) -> None:
    on(app, name, "CREATE TABLE {t} (id text PRIMARY KEY, n int, note text)")
    on(
        app,
        name,
        "INSERT INTO {t} SELECT gen_random_uuid()::text, g, repeat('x', 200) FROM generate_series(1, %s) AS g",
        rows,
    )


def _verify(database: Url, code: int) -> dict[str, int]:
    said = CliRunner().invoke(build_app(["verify"]), ["verify", "--json", "--database-url", database])
    assert said.exit_code == code, said.output
    (found,) = json.loads(said.stdout.splitlines()[-1])["tables"]
    return dict(found)


def _turns(rebuild: Rebuild, until: Callable[[], bool]) -> None:
    for _ in range(60):
        if until():
            return
        if not rebuild.turn():
            rebuild.pass_time()
            rebuild.work()
    raise AssertionError("it did not come")


@pytest.mark.attack("B3", "A row of the next table is tampered with while the cutover waits")
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("rows", [10, 300], ids=["one job", "many chunks"])
def test_while_the_cutover_waits_every_row_is_compared_again(
    app: psycopg.Connection, begin: Begin, rows: int, attack: Attack
) -> None:
    _create(app, rows=rows)
    rebuild = begin(table("t", "id"), verify_again_minutes=0)
    rebuild.ready()
    for what, act in TAMPERED.items():
        for statement in act.split("; "):
            app.execute(statement.encode())
        events = int(str(one(app, "SELECT count(*) FROM replank.event WHERE message LIKE 'differences: %'")))
        _turns(rebuild, lambda: rebuild.table("t").state is not TableState.READY)
        _turns(rebuild, lambda: rebuild.table("t").state is TableState.READY)
        assert one(app, "SELECT count(*) FROM replank.event WHERE message LIKE 'differences: %'") == events + 1, what
        rebuild.work("drain")
        lost = differences(app, live("t"), built("t"), {"id"})
        attack.record("found by itself, named and repaired before the cutover", lost=len(lost))
        assert lost == [], what
        shown = read_status(rebuild.connection).to_json()["tables"][0]["verification"]
        assert shown["because"] == ""
        assert shown["at"] is not None
    named = one(app, "SELECT string_agg(message, ' ') FROM replank.event WHERE kind = 'verification'")
    assert "1 row differed" in str(named)
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


@pytest.mark.attack("B3", "A row of the next table is tampered with while the cutover waits for its window")
@pytest.mark.usefixtures("small_chunks")
def test_it_is_compared_while_a_window_is_waited_for(
    app: psycopg.Connection, begin: Begin, monkeypatch: pytest.MonkeyPatch, attack: Attack
) -> None:
    _create(app)
    rebuild = begin(table("t", "id"), verify_again_minutes=0)
    rebuild.ready()
    with monkeypatch.context() as patch:
        patch.setattr(facts, "window_now", lambda *_: CutoverWindow(reason="outside the plan's cutover windows"))
        runs.set_hold(rebuild.connection, rebuild.run_id, hold_cutover=False)
        _turns(rebuild, lambda: one(app, "SELECT rounds FROM replank.verification") == 2)
        app.execute(TAMPERED["ghost"].encode())
        _turns(rebuild, lambda: rebuild.table("t").state is not TableState.READY)
        _turns(rebuild, lambda: rebuild.table("t").state is TableState.READY)
        assert one(app, "SELECT count(*) FROM replank_next.t WHERE n = -1") == 0
    rebuild.finish()
    lost = differences(app, past("t"), live("t"), {"id"})
    attack.record("found and repaired before the window opens", lost=len(lost))
    assert lost == []


@pytest.mark.usefixtures("small_chunks")
def test_a_verification_under_way_does_not_delay_the_cutover(app: psycopg.Connection, begin: Begin) -> None:
    """The one before it still counts; drains go on beside it, and one table at a time is compared."""
    _create(app, "t")
    _create(app, "u")
    rebuild = begin(table("t", "id"), table("u", "id"), verify_again_minutes=0)
    rebuild.ready()
    rebuild.turn()
    waiting = rebuild.jobs("verify")
    assert len(waiting) > 4
    compared = "SELECT count(DISTINCT table_no) FROM replank.job WHERE kind = 'verify' AND state = 'waiting'"
    assert one(app, compared) == 1
    assert {one.state for one in rebuild.tables} == {TableState.READY}
    rebuild.execute(waiting[0])
    app.execute("UPDATE t SET note = 'meanwhile' WHERE n <= 250")
    app.execute("UPDATE u SET note = 'meanwhile' WHERE n <= 250")
    for _ in range(2):
        rebuild.pass_time()
        rebuild.turn()
    assert len(rebuild.jobs("drain")) == 2
    rebuild.swap()
    assert rebuild.jobs("verify") == []
    for name in ("t", "u"):
        assert differences(app, past(name), live(name), {"id"}) == []
    rebuild.finish()


def test_it_pauses_between_two_rounds(app: psycopg.Connection, begin: Begin) -> None:
    _create(app)
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    for _ in range(5):
        rebuild.turn()
        rebuild.pass_time()
    assert rebuild.jobs("verify") == []
    app.execute(
        "UPDATE replank.verification SET started_at = started_at - interval '11 minutes',"
        " passed_at = passed_at - interval '11 minutes'"
    )
    rebuild.turn()
    assert len(rebuild.jobs("verify")) == 1


@pytest.mark.attack("B2", "`replank verify` finds a difference, then the cutover is released")
def test_a_verify_that_found_differences_holds_the_cutover(
    app: psycopg.Connection, begin: Begin, database: Url, attack: Attack
) -> None:
    _create(app)
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    app.execute(TAMPERED["row changed"].encode())
    assert _verify(database, 1)["mismatches"] == 1
    shown = read_status(rebuild.connection).to_json()["tables"][0]["verification"]
    assert "1 key that differs" in shown["doubt"]
    rebuild.finish()
    lost = differences(app, past("t"), live("t"), {"id"})
    attack.record("held, verified again and repaired, then swapped", lost=len(lost))
    assert lost == []


def test_a_later_verify_that_finds_none_releases_it(app: psycopg.Connection, begin: Begin, database: Url) -> None:
    _create(app)
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    app.execute("CREATE TABLE kept AS SELECT note FROM replank_next.t WHERE n = 7")
    app.execute(TAMPERED["row changed"].encode())
    _verify(database, 1)
    app.execute("UPDATE replank_next.t SET note = (SELECT note FROM kept) WHERE n = 7")
    _verify(database, 0)
    assert one(app, "SELECT doubt FROM replank.verification") == ""
    rebuild.swap()
    assert one(app, "SELECT count(*) FROM replank.verification WHERE rounds = 1") == 1


@pytest.mark.attack("B2", "`replank verify` finds a difference in the middle of an attempt at the cutover")
def test_a_difference_that_is_found_during_the_attempt_stops_it(
    app: psycopg.Connection, begin: Begin, database: Url, monkeypatch: pytest.MonkeyPatch, attack: Attack
) -> None:
    """Under the lock the ledger is asked once more."""
    _create(app)
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    from sql.swap import cutover

    before, called = cutover.drain_until_short, []

    def found(*arguments: object) -> None:
        if not called:
            app.execute(TAMPERED["row changed"].encode())
            called.append(_verify(database, 1))
        before(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(cutover, "drain_until_short", found)
    rebuild.finish()
    lost = differences(app, past("t"), live("t"), {"id"})
    attack.record("rolled back under the lock, verified again", lost=len(lost))
    assert called
    assert lost == []


@pytest.mark.attack("B2", "`finish` over a difference between past and new table")
@pytest.mark.parametrize("act", ["UPDATE t SET note = 'x' WHERE n = 7", "DELETE FROM replank_past.t WHERE n = 7"])
def test_finish_compares_once_more(app: psycopg.Connection, begin: Begin, act: str, attack: Attack) -> None:
    _create(app)
    rebuild = begin(table("t", "id"))
    rebuild.finish()
    app.execute("SET session_replication_role = replica")
    app.execute("ALTER TABLE t DISABLE TRIGGER ALL")
    app.execute(act.encode())
    app.execute("ALTER TABLE t ENABLE TRIGGER ALL")
    finishing = Finishing(
        connection=rebuild.connection, say=lambda _: None, sleep=lambda _: None, random_source=random.Random(1)
    )
    with pytest.raises(NeedsOperator, match=r"public\.t: 1 key differs.*Nothing was dropped.*--without-proof"):
        finishing.finish(rebuild.run)
    assert rebuild.run.state is RunState.DONE
    assert one(app, "SELECT to_regclass('replank_past.t') IS NOT NULL") is True
    attack.record("refused; the past table stays until it is asked for without a proof", lost=0)
    assert finishing.finish(rebuild.run, proof=False).state is RunState.FINISHED
    assert one(app, "SELECT to_regclass('replank_past.t')") is None


BY_HAND = {
    "called ready": "UPDATE replank.run_table SET state = 'ready'",
    "called ready and proved": "UPDATE replank.run_table SET state = 'ready'; UPDATE replank.verification SET"
    " passed_generation = generation, passed_capture_facts = capture_facts",
    "its jobs are gone": "UPDATE replank.run_table SET state = 'ready'; DELETE FROM replank.job WHERE kind = 'verify';"
    " UPDATE replank.verification SET passed_generation = generation, passed_capture_facts = capture_facts",
}


@pytest.mark.attack("C2", "The ledger is edited by hand: ready without a verification that is done")
@pytest.mark.parametrize("edit", BY_HAND)
def test_ready_without_a_verification_is_not_swapped(
    app: psycopg.Connection, begin: Begin, edit: str, attack: Attack
) -> None:
    _create(app)
    rebuild = begin(table("t", "id"), cutover_attempts=2)
    rebuild.until(TableState.VERIFYING)
    app.execute(TAMPERED["row missing"].encode())
    app.execute("DELETE FROM replank.job WHERE state = 'waiting'")
    for statement in BY_HAND[edit].split("; "):
        app.execute(statement.encode())
    rebuild.finish()
    lost = differences(app, past("t"), live("t"), {"id"})
    attack.record("verified before it is swapped", lost=len(lost))
    assert lost == []


def test_ready_that_was_never_verified_is_left_to_the_operator(app: psycopg.Connection, begin: Begin) -> None:
    _create(app)
    rebuild = begin(table("t", "id"))
    rebuild.until(TableState.COPYING)
    app.execute("UPDATE replank.run_table SET state = 'ready'")
    app.execute("DELETE FROM replank.job")
    runs.set_hold(rebuild.connection, rebuild.run_id, hold_cutover=False)
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert "no verification of it is done" in rebuild.why()
    assert one(app, "SELECT pg_typeof(id)::text FROM t LIMIT 1") == "text"
