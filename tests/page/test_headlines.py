"""What the verdict follows from, sign by sign, on a ledger that is painted and a coordinator's lock that is held."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from monitoring.page.sections import SectionReader
from monitoring.status.headlines.deliveries import BROKER_KNOWN_S
from monitoring.status.headlines.unknown import QUIET_S
from monitoring.status.read_status import read_again, read_status
from monitoring.status.status import Status
from producer.coordinator.progress import Progress
from producer.waiting.leader import try_to_lead
from replank.values.states import RestraintCause
from sql.ledger.jobs.consumers import announce
from sql.ledger.reading import signs, surroundings
from sql.ledger.runs import restraints
from sql.ledger.runs.restraints import Place
from sql.session.connection import Connection, connect

CALM = (
    # Nothing failed, nobody has said anything, the cutover is not held
    "UPDATE replank.job SET state = 'done' WHERE state IN ('failed', 'skipped')",
    "UPDATE replank.run SET hold_cutover = false",
    "UPDATE replank.job SET sent_at = NULL",
)
LONG_AGO = (
    "UPDATE replank.job SET finished_at = now() - interval '2 minutes' WHERE state = 'done'",
    "UPDATE replank.table_history SET at = now() - interval '2 minutes'",
    "UPDATE replank.event SET at = now() - interval '2 minutes'",
    "UPDATE replank.run SET created_at = now() - interval '1 hour'",
)


@pytest.fixture
def ledger(painted: str) -> Iterator[Connection]:
    """Under way: a coordinator that saw the broker just now, two processes on every queue."""
    with connect(painted, name="coordinator") as led, connect(painted, name="worker test:1") as worker:
        for statement in CALM:
            led.execute(statement.encode())
        assert try_to_lead(led)
        surroundings.note_broker(led, answers=True, problem="", age_s=0)
        announce(worker, ["replank.copy", "replank.index", "replank.verify", "replank.cache"])
        yield led


def change(ledger: Connection, *statements: str) -> None:
    for statement in statements:
        ledger.execute(statement.encode())


def kinds(status: Status) -> list[str]:
    return [one.kind for one in status.headlines]


def test_it_runs_where_something_ended_lately_or_works(ledger: Connection) -> None:
    assert kinds(read_status(ledger)) == ["running"]
    # Nothing has ended for long, and no session works on what is leased
    change(ledger, *LONG_AGO)
    status = read_status(ledger)
    assert kinds(status) == ["stuck"]
    assert "No session works on a leased job" in status.headlines[0].why
    assert status.eta_s is None
    # One of them does
    change(ledger, "UPDATE replank.job SET backend_pid = pg_backend_pid() WHERE state = 'leased'")
    assert kinds(read_status(ledger)) == ["running"]
    # Nobody has any, and nothing is known to be wrong
    change(ledger, "UPDATE replank.job SET state = 'waiting' WHERE state = 'leased'")
    status = read_status(ledger)
    assert (kinds(status), status.headlines[0].weight) == (["quiet"], "look")
    assert status.signs is not None
    assert status.signs.quiet_s > QUIET_S


def test_the_broker_is_named_only_as_far_as_it_is_known(ledger: Connection) -> None:
    surroundings.note_broker(ledger, answers=False, problem="Connection refused", age_s=1)
    status = read_status(ledger)
    assert kinds(status) == ["broker"]
    assert "Connection refused" in status.headlines[0].why
    # What waits for the operator's word is not drained meanwhile, and the headline says so
    change(ledger, "UPDATE replank.run_table SET state = 'ready'", "UPDATE replank.run SET hold_cutover = true")
    held = read_status(ledger).headlines[1]
    assert (held.kind, "No worker drains them" in held.why) == ("cutover_held", True)
    change(ledger, "UPDATE replank.run_table SET state = 'copying'", "UPDATE replank.run SET hold_cutover = false")
    since = status.signs and status.signs.broker and status.signs.broker.since
    # Looked at again, it is the same silence
    surroundings.note_broker(ledger, answers=False, problem="Connection refused", age_s=0)
    again = read_status(ledger).signs
    assert again is not None
    assert again.broker is not None
    assert again.broker.since == since
    surroundings.note_broker(ledger, answers=True, problem="", age_s=0)
    assert kinds(read_status(ledger)) == ["running"]
    surroundings.note_broker(ledger, answers=True, problem="", age_s=BROKER_KNOWN_S + 1)
    assert kinds(read_status(ledger)) == ["broker_unknown"]


def test_jobs_that_nobody_takes(ledger: Connection, painted: str) -> None:
    verify = "UPDATE replank.job SET sent_at = now(), sends = {} WHERE kind = 'verify' AND state = 'waiting'"
    # An idle worker is there, and has not taken it yet; it had long enough
    change(ledger, *LONG_AGO, verify.format(3))
    assert "unheard" not in kinds(read_status(ledger))
    with connect(painted, name="worker test:2") as lonely:
        announce(lonely, ["replank.copy"])
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'replank worker test:1'"
        change(ledger, end)
        status = read_status(ledger)
        assert status.headlines[0].kind == "no_consumer"
        assert status.headlines[0].command == "replank worker --queues replank.verify"
    assert read_status(ledger).headlines[0].kind == "no_worker"
    change(ledger, verify.format(1))
    assert "awaiting_worker" in kinds(read_status(ledger))
    # A paused run waits for nobody
    restraints.put(ledger, 1, Place(), "pause", by="anna", reason="tea")
    assert read_status(ledger).headlines[0].kind == "paused"


@pytest.mark.parametrize("cause", ["operator", "panic"])
def test_a_pause_says_who_when_and_why(ledger: Connection, cause: RestraintCause) -> None:
    since = restraints.put(ledger, 1, Place(), "pause", cause=cause, by="anna", reason="500s in checkout")
    first = read_status(ledger).headlines[0]
    assert first.kind == ("panicked" if cause == "panic" else "paused")
    assert "by anna" in first.words
    assert f"{since:%Y-%m-%d %H:%M:%S} UTC: 500s in checkout" in first.why


def test_without_a_coordinator_there_is_no_time_left(ledger: Connection, painted: str) -> None:
    assert read_status(ledger).eta_s is not None
    with connect(painted, name="status") as looking:
        looks = SectionReader()
        assert looks.whole(looking)["run"]["eta_s"] is not None
        ledger.close()
        # Also where only what is cheap is read again
        found = looks.quick(looking)
        assert (found["run"]["eta_s"], found["run"]["led"]) == (None, False)
        assert found["headlines"][0]["kind"] == "no_coordinator"
        assert "cells:table:0" not in found


def test_a_quick_look_sees_what_is_urgent_and_a_new_run_is_looked_at_whole(ledger: Connection) -> None:
    looks = SectionReader()
    assert looks.whole(ledger)["headlines"][0]["kind"] == "running"
    change(
        ledger,
        "UPDATE replank.job SET state = 'failed' WHERE job_id = (SELECT max(job_id) FROM replank.job)",
    )
    found = looks.quick(ledger)
    assert found["headlines"][0]["kind"] == "failed"
    assert found["run"]["jobs"]["failed"] == 1
    assert found["figures"]["age_s"] >= 0
    status = read_status(ledger)
    change(ledger, "UPDATE replank.run SET state = 'needs_operator', reason = 'one job has failed'")
    assert read_again(ledger, status) is None
    assert "tables" in looks.quick(ledger)


def test_the_percentage_is_the_sum_of_its_parts(ledger: Connection) -> None:
    status = read_status(ledger)
    for table in status.tables:
        assert sum(table.parts.values()) == pytest.approx(table.share)
        assert all(0 <= done <= 1 for done in table.behind.values())
    assert sum(status.parts.values()) == pytest.approx(status.share)
    shown = SectionReader().whole(ledger)["run"]
    assert sum(shown["parts"].values()) == pytest.approx(shown["share"], abs=0.001)
    assert 0 < shown["behind"]["verified"] < shown["behind"]["copied"] < 1
    change(ledger, "UPDATE replank.run_table SET state = 'done'")
    assert read_status(ledger).share == 1.0


def test_a_role_that_may_not_see_other_sessions_calls_nothing_stuck(ledger: Connection, painted: str) -> None:
    change(ledger, *LONG_AGO, "UPDATE replank.job SET backend_pid = pg_backend_pid() WHERE state = 'leased'")
    change(ledger, "DROP ROLE IF EXISTS looker", "CREATE ROLE looker LOGIN", "GRANT USAGE ON SCHEMA replank TO looker")
    change(ledger, "GRANT SELECT ON ALL TABLES IN SCHEMA replank TO looker")
    with psycopg.connect(painted, autocommit=True) as plain:
        plain.execute("SET SESSION AUTHORIZATION looker")
        found = signs.read_signs(plain, 1)
    assert found.working == found.leased > 0
    assert {queue.processes for queue in found.queues} == {1}
    change(ledger, "DROP OWNED BY looker", "DROP ROLE looker")


def test_a_run_that_is_held_says_so_with_every_line_and_tells_no_time(
    ledger: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who looks later has not seen the notice; and it will take as long as the operator likes."""
    change(
        ledger,
        "UPDATE replank.job SET state = 'done' WHERE state <> 'done'",
        "INSERT INTO replank.conversion_set (run_id, set_no, foreign_keys)"
        " SELECT DISTINCT run_id, set_no, '[]'::jsonb FROM replank.run_table WHERE set_no > 0",
        "UPDATE replank.run_table SET state = CASE WHEN set_no > 0 THEN 'ready' ELSE 'done' END",
        "UPDATE replank.run SET hold_cutover = true",
    )
    status = read_status(ledger)
    assert (status.held, status.eta_s) == (True, None)
    Progress(every_s=0.0).show(ledger)
    said = capsys.readouterr()
    assert "held=" in said.out + said.err
    assert "replank cutover" in said.out + said.err
    assert "left=" not in said.out + said.err
    change(ledger, "UPDATE replank.run SET hold_cutover = false")
    assert not read_status(ledger).held
    Progress(every_s=0.0).show(ledger)
    said = capsys.readouterr()
    assert "left=" in said.out + said.err
    assert "held=" not in said.out + said.err
