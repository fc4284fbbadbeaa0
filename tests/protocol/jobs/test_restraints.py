"""Pauses and throttles: what was sent before does not slip through, and nobody else waits for them."""

import threading
from collections.abc import Callable

import psycopg
import pytest
from psycopg.sql import SQL
from support.oracles.oracle import differences, live, on, one, past
from support.runs.harness import Rebuild, table

from producer.coordinator.pauses import Pauses
from producer.operator.holding_cutover import hold_cutover, release_cutover
from producer.operator.operator import Operator, operator_of_shell
from producer.operator.pausing import pause, resume, throttle
from producer.operator.scope import WHOLE_RUN, scope_of
from replank.errors import WrongUse
from replank.values.states import RunState, TableState
from replank.values.steps import DATA_PHASE, PHASES
from sql.ledger.jobs import claims, job_queue
from sql.ledger.runs import restraints
from sql.ledger.runs.restraints import Place
from sql.ledger.tables.tables import RunTable
from sql.session.named_queries import query

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]
ANNA = Operator(name="anna", via="page")


@pytest.fixture
def rebuild(app: psycopg.Connection, begin: Begin) -> Rebuild:
    """Tables a and b, each with several copy jobs that wait."""
    for name in ("a", "b"):
        on(app, name, "CREATE TABLE {t} (id text PRIMARY KEY, filler text)")
        on(app, name, "INSERT INTO {t} SELECT gen_random_uuid()::text, repeat('x', 900) FROM generate_series(1, 4000)")
    made = begin(table("a", "id", axis="heap"), table("b", "id", axis="heap"), chunk_mb=1)
    made.until(TableState.COPYING)
    return made


def _plan_of_claim(rebuild: Rebuild) -> str:
    named = {"run_id": rebuild.run_id, "job_id": 1, "worker": "w", "lease_s": 60, "sources": ["waiting"]}
    explain = SQL("EXPLAIN {}").format(query("jobs.claim"))
    return "\n".join(line for (line,) in rebuild.connection.execute(explain, named))


def test_what_holds_jobs_back_is_one_function_that_costs_a_claim_no_call(rebuild: Rebuild) -> None:
    """And the ledger's word for the phase that jobs are of is the program's."""
    for phase in PHASES:
        restraints.put(rebuild.connection, rebuild.run_id, Place(phase=phase), "pause", by="anna")
    found = rebuild.connection.execute("SELECT phase FROM replank.job_restraint").fetchall()
    assert found == [(DATA_PHASE,)]
    plan = _plan_of_claim(rebuild)
    assert "on restraint" in plan
    assert "restraints_on_job" not in plan


def _send(rebuild: Rebuild, window: int = 100) -> dict[int, list[int]]:
    """What may go to the queue now, by table number."""
    found: dict[int, list[int]] = {1: [], 2: []}
    sent = job_queue.take_for_sending(rebuild.connection, rebuild.run_id, window=window, resend_after_s=60)
    for job in sent:
        found[job.table_no].append(job.job_id)
    return found


def _claim(rebuild: Rebuild, job_id: int) -> bool:
    claimed = claims.claim(rebuild.connection, run_id=rebuild.run_id, job_id=job_id, worker="w", lease_s=60)
    return claimed is not None


def test_a_paused_table_is_neither_sent_nor_begun(rebuild: Rebuild) -> None:
    # Given messages of both tables that are on their way
    sent = _send(rebuild, window=4)
    assert sent[1]
    # When the first is paused
    scope = scope_of(rebuild.connection, rebuild.run, table="public.a")
    pause(rebuild.connection, rebuild.run, scope, by=ANNA, reason="hot")
    # Then its messages begin nothing, the other's do, and only the other's are sent
    assert not any(_claim(rebuild, job_id) for job_id in sent[1])
    rest = _send(rebuild)
    assert rest[1] == []
    assert rest[2]
    assert _claim(rebuild, rest[2][0])
    # And for the coordinator it does not go on either
    assert [t.spec.name for t in _unpaused(rebuild)] == ["b"]
    # When it is resumed, what was sent may begin
    assert "public.a continues" in resume(rebuild.connection, rebuild.run, scope, by=ANNA)
    assert _claim(rebuild, sent[1][0])
    assert "was not paused" in resume(rebuild.connection, rebuild.run, scope, by=ANNA)


def _unpaused(rebuild: Rebuild) -> list[RunTable]:
    held_back = restraints.in_force(rebuild.connection, rebuild.run_id)
    return Pauses(connection=rebuild.connection, run_id=rebuild.run_id, held_back=held_back).unpaused(rebuild.tables)


def test_a_throttled_table_has_so_many_in_flight_and_the_other_its_window(rebuild: Rebuild) -> None:
    throttle(rebuild.connection, rebuild.run, scope_of(rebuild.connection, rebuild.run, table="a"), 1, by=ANNA)
    throttle(rebuild.connection, rebuild.run, scope_of(rebuild.connection, rebuild.run, phase=3), 3, by=ANNA)
    # One of a, two of b: three of the phase. Jobs of a that do not fit are in b's way for one turn only
    sent = {
        number: [*first, *second]
        for (number, first), second in zip(_send(rebuild).items(), _send(rebuild).values(), strict=False)
    }
    assert (len(sent[1]), len(sent[2])) == (1, 2)
    # Nothing more fits until one has ended, whether it was begun or not
    assert _send(rebuild) == {1: [], 2: []}
    first = sent[1][0]
    assert _claim(rebuild, first)
    other_of_a = next(j for j in rebuild.jobs("copy") if j not in (first, *sent[2]))
    assert not _claim(rebuild, other_of_a), "a message from before the limit does not slip through"
    assert _send(rebuild) == {1: [], 2: []}
    # The limit of the whole run is the window's
    throttle(rebuild.connection, rebuild.run, WHOLE_RUN, 7, by=ANNA)
    assert rebuild.run.window_limit == 7
    throttle(rebuild.connection, rebuild.run, WHOLE_RUN, None, by=ANNA)
    assert rebuild.run.window_limit is None
    with pytest.raises(WrongUse, match="1 to 1000"):
        throttle(rebuild.connection, rebuild.run, WHOLE_RUN, 0, by=ANNA)
    with pytest.raises(WrongUse, match="no jobs"):
        throttle(rebuild.connection, rebuild.run, scope_of(rebuild.connection, rebuild.run, phase=1), 2, by=ANNA)


def test_a_paused_phase_rests_and_the_run_calls_nobody(app: psycopg.Connection, rebuild: Rebuild) -> None:
    phase = scope_of(rebuild.connection, rebuild.run, phase=3)
    pause(rebuild.connection, rebuild.run, phase, by=ANNA)
    assert _send(rebuild) == {1: [], 2: []}
    assert not _claim(rebuild, rebuild.jobs("copy")[0])
    assert rebuild.try_for_a_while() is RunState.RUNNING
    assert {t.state for t in rebuild.tables} == {TableState.COPYING}
    assert not rebuild.run.paused, "the phase is, not the run"
    # A wider and a narrower pause are each their own: lifting one leaves the other, and says so
    pause(rebuild.connection, rebuild.run, WHOLE_RUN, by=ANNA)
    said = resume(rebuild.connection, rebuild.run, phase, by=ANNA)
    assert "the whole run is paused by anna" in said
    assert "`replank resume`" in said
    assert rebuild.run.paused
    resume(rebuild.connection, rebuild.run, WHOLE_RUN, by=ANNA)
    rebuild.finish()
    assert differences(app, past("a"), live("a"), {"id"}) == []


def test_two_operators_at_once_leave_one_pause_and_two_events(app: psycopg.Connection, rebuild: Rebuild) -> None:
    workers = [rebuild.new_worker(name).connection for name in ("one", "two")]
    run = rebuild.run
    threads = [
        threading.Thread(target=pause, args=(c, run, WHOLE_RUN), kwargs={"by": Operator(name=f"op {n}", via="page")})
        for n, c in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(restraints.in_force(rebuild.connection, rebuild.run_id)) == 1
    assert one(app, "SELECT count(*) FROM replank.event WHERE kind = 'pause' AND actor LIKE 'op %%'") == 2


def test_what_is_said_is_kept_with_who_and_how(app: psycopg.Connection, rebuild: Rebuild) -> None:
    hold_cutover(rebuild.connection, rebuild.run, by=ANNA, reason="lunch")
    assert rebuild.run.hold_cutover
    pause(rebuild.connection, rebuild.run, scope_of(rebuild.connection, rebuild.run, table="b"), by=ANNA)
    said = release_cutover(rebuild.connection, rebuild.run, by=operator_of_shell("bert"))
    assert "still waits while public.b is paused by anna" in said
    assert not rebuild.run.hold_cutover
    asked = "SELECT actor, kind, message FROM replank.event WHERE actor IN ('anna', 'bert') ORDER BY event_id"
    found = app.execute(asked)
    assert found.fetchall() == [
        ("anna", "hold_cutover", "lunch (through the page)"),
        ("anna", "pause", "through the page"),
        ("bert", "release_cutover", "through the command line"),
    ]
    (pause_of_b,) = restraints.in_force(rebuild.connection, rebuild.run_id)
    assert pause_of_b.to_json() | {"since": ""} == {
        "kind": "pause",
        "scope": "public.b",
        "phase": None,
        "table": "public.b",
        "max_jobs": 0,
        "cause": "operator",
        "by": "anna",
        "since": "",
        "reason": "",
        "freed_by": "replank resume --table public.b",
    }
    for name in ("", "a\nb", "x" * 101):
        with pytest.raises(WrongUse, match="printable"):
            Operator(name=name, via="page")
