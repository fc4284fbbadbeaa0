"""The data migration does not begin with a gate open, and tables change places inside of windows only."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import typer

from gates.conftest import NOTHING_LOOKED_AT, drive, planned, settings_of
from monitoring.report.notes import gates_note
from monitoring.status.figures import read_figures
from monitoring.status.gates import CutoverWindow
from monitoring.status.read_status import read_status
from monitoring.terminal.watch import draw, read_view
from producer.cli import run as commands
from producer.coordinator import facts as coordinating
from producer.coordinator.coordinator import Coordinator
from producer.gates.checking_gates import attest, check_gates, override
from producer.planning.resolution import PlanFile
from producer.rollback.rollback import roll_back
from producer.starting.begin import begin_or_resume
from replank.errors import WrongUse
from replank.values.states import RunState
from replank.values.steps import STEPS
from sql.ledger.runs import gates, runs
from sql.ledger.runs.events import read_events
from sql.ledger.tables import caches, conversion_sets
from sql.ledger.upgrades.ledger import ensure_ledger
from sql.session.connection import connect

pytestmark = pytest.mark.protocol

ATTESTED = {"not_asked": NOTHING_LOOKED_AT}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def closed_now() -> list[dict[str, Any]]:
    """A window on a day that is three days away."""
    day = (datetime.now(UTC) + timedelta(days=3)).weekday()
    return [{"days": [DAYS[day]], "start": "01:00", "end": "02:00"}]


def open_now() -> list[dict[str, Any]]:
    return [{"days": list(DAYS), "start": "00:00", "end": "00:00"}]


def captured(app: psycopg.Connection) -> int:
    return len(app.execute("SELECT FROM pg_trigger WHERE tgname LIKE 'replank%'").fetchall())


def types(app: psycopg.Connection) -> set[str]:
    return {
        name
        for (name,) in app.execute(
            "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attname = 'id'"
            " AND attrelid IN ('customer'::regclass, 'orders'::regclass)"
        )
    }


def test_a_run_with_an_open_gate_is_not_told_to_retry(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to retry: the same command looks at the gates anew."""
    file, settings = planned(database, gates=ATTESTED), settings_of(database)
    run = drive(file, settings)
    with pytest.raises(typer.Exit):
        commands._report(settings, run, already=False, as_json=False)
    said = capsys.readouterr().err
    assert "Then run `replank run PLAN` again" in said
    assert "`replank retry`" not in said
    assert "this command again, or `replank rollback`" in said
    with connect(database, name="test") as connection:
        status = read_status(connection)
        first = status.headlines[0]
        assert (first.kind, first.button, first.command) == ("needs_operator", "", "replank run PLAN")
        assert "retry" not in "".join(line.plain for line in draw(read_view(connection), width=200, height=50))


def test_a_run_stops_before_the_data_migration_and_goes_on_when_the_gates_pass(
    database: str, app: psycopg.Connection
) -> None:
    # Given a plan with a script before the data migration, and two gates that people attest
    file = planned(database, steps={"indexes": {}}, gates=ATTESTED)
    settings = settings_of(database)

    # When it runs
    run = drive(file, settings)

    # Then the script has run, and of the data migration nothing
    assert run.state is RunState.NEEDS_OPERATOR
    assert "attest deployment_ready --by WHO" in run.reason
    assert "attest team_notified --by WHO" in run.reason
    assert len(app.execute("SELECT FROM pg_indexes WHERE indexdef LIKE '%customer_id%'").fetchall()) == 1
    assert captured(app) == 0
    with connect(database, name="test") as connection:
        assert {gate["state"] for gate in read_status(connection).to_json()["gates"]} == {"open"}

        # Nor when one of them is still open
        attest(connection, file.plan, "team_notified", by="Ann", note="by mail")
        assert "team_notified" not in drive(file, settings).reason
        assert captured(app) == 0

        # And when the last is overridden, it goes on by itself and tells why
        override(connection, file.plan, "deployment_ready", by="Bob", reason="rolled out by hand")
        assert drive(file, settings).state is RunState.DONE
        assert types(app) == {"uuid"}
        shown = {gate["name"]: gate for gate in read_status(connection).to_json()["gates"]}
        assert (shown["team_notified"]["state"], shown["team_notified"]["by"]) == ("passed", "Ann")
        overridden = shown["deployment_ready"]
        assert (overridden["state"], overridden["by"], overridden["reason"]) == (
            "overridden",
            "Bob",
            "rolled out by hand",
        )
        said = [(event.subject, event.message) for event in read_events(connection, run.run_id, limit=999)]
        assert ("deployment_ready", "overridden by Bob: rolled out by hand") in said
        assert read_figures(connection, runs.read_run(connection, run.run_id))["wal_bytes"] > 0


def test_words_are_for_one_plan_and_one_attempt(database: str) -> None:
    file = planned(database, gates=ATTESTED)
    other = planned(database, tables=[file.plan.tables[0].model_dump(by_alias=True)], gates=ATTESTED)
    with connect(database, name="test") as connection:
        ensure_ledger(connection)
        # Another run is in this ledger, so that a rollback leaves it where it is.
        connection.execute(
            "INSERT INTO replank.run (plan_name, plan_digest, plan, state, window_now, window_max)"
            " VALUES ('old', 'x', %s, 'finished', 1, 1)",
            (file.plan.model_dump_json(by_alias=True),),
        )
        for name in ("deployment_ready", "team_notified"):
            attest(connection, file.plan, name, by="Ann", note="")
        assert {gate.state for gate in check_gates(connection, file.plan)} == {"passed"}
        assert {gate.state for gate in check_gates(connection, other.plan)} == {"open"}

        # What was attested for an attempt that was rolled back says nothing about the next
        begin_or_resume(connection, file, hold_cutover=True)
        roll_back(connection, say=lambda _: None, sleep=lambda _: None)
        assert {gate.state for gate in check_gates(connection, file.plan)} == {"open"}


def test_an_attestation_is_asked_for_anew_when_it_is_old(database: str) -> None:
    file = planned(database, gates=ATTESTED)
    with connect(database, name="test") as connection:
        ensure_ledger(connection)
        attest(connection, file.plan, "team_notified", by="Ann", note="")
        assert check_gates(connection, file.plan)[-1].state == "passed"
        connection.execute("UPDATE replank.gate_record SET at = at - interval '8 days'")
        old = check_gates(connection, file.plan)[-1]
    assert (old.state, "Ann attested it 8 days ago" in old.reason) == ("open", True)


@pytest.mark.parametrize(
    ("name", "by", "reason", "why"),
    [
        ("backup", "Ann", "", "needs a reason"),
        ("backup", " ", "because", "Give the name of the person who answers for it"),
        ("coffee", "Ann", "because", "has no gate coffee"),
    ],
)
def test_what_is_no_override(name: str, by: str, reason: str, why: str, database: str) -> None:
    with connect(database, name="test") as connection:
        ensure_ledger(connection)
        file = planned(database, gates={})
        with pytest.raises(WrongUse, match=why):
            override(connection, file.plan, name, by=by, reason=reason)
        with pytest.raises(WrongUse, match="cannot be attested"):
            attest(connection, file.plan, "backup", by="Ann", note="")
        with pytest.raises(WrongUse, match=r"no \[gates\]"):
            attest(connection, planned(database).plan, "backup", by="Ann", note="")


def test_an_empty_section_asks_for_all_of_it(database: str) -> None:
    with connect(database, name="test") as connection:
        ensure_ledger(connection)
        found = check_gates(connection, planned(database, gates={}).plan)
    assert {gate.name: gate.state for gate in found} == dict.fromkeys(
        (*NOTHING_LOOKED_AT, "deployment_ready", "team_notified"), "open"
    )
    assert all(gate.reason and gate.remedy for gate in found)


@pytest.mark.slow
def test_gates_may_change_while_a_run_waits_and_that_is_told(database: str) -> None:
    settings = settings_of(database)
    assert drive(planned(database, gates=ATTESTED), settings).state is RunState.NEEDS_OPERATOR
    run = drive(planned(database, gates={**ATTESTED, "attestations": []}), settings)
    assert run.state is RunState.DONE
    with connect(database, name="test") as connection:
        messages = [event.message for event in read_events(connection, run.run_id, limit=999)]
    assert "the plan's gates were changed" in messages


WINDOWS_ONLY = {"not_asked": NOTHING_LOOKED_AT[:-1], "attestations": []}


class Waited(Exception):
    """The test has seen enough."""


def test_the_cutover_waits_for_its_window(database: str, app: psycopg.Connection) -> None:
    # Given a run whose windows are closed
    closed = planned(database, gates={**WINDOWS_ONLY, "windows": closed_now()})
    settings = settings_of(database)
    turns_at_rest = 0

    def until_it_waits(coordinator: Coordinator) -> None:
        nonlocal turns_at_rest
        (present,) = conversion_sets.read_sets(coordinator.connection, coordinator.run_id) or [None]
        if present is not None and present.problem:
            turns_at_rest += 1
            if turns_at_rest == 2:
                raise Waited

    # When all its tables are ready, then nothing changes places, and the reason is shown
    with pytest.raises(Waited):
        drive(closed, settings, between_turns=until_it_waits)
    assert types(app) == {"text"}
    with connect(database, name="test") as connection:
        shown = read_status(connection).to_json()
        assert "outside the plan's cutover windows; the next one opens" in shown["sets"][0]["problem"]
        assert (shown["sets"][0]["attempts"], shown["cutover_window"]["open"]) == (0, False)

        # When an operator overrides it, the cutover comes
        override(connection, closed.plan, "window", by="Bob", reason="nobody works today")
    assert drive(closed, settings).state is RunState.DONE
    assert types(app) == {"uuid"}

    # And the report says it: the gate had passed, with a window that was to come
    with connect(database, name="test") as connection:
        run = runs.latest_run(connection)
        assert run is not None
        (note,) = gates_note(connection, run)
    assert "Overridden by the operator after that: window." in note.words
    assert "Swapped outside the plan's cutover windows: set 1 at 20" in note.words
    (said,) = [row for row in note.rows if row[1] == "overridden afterwards"]
    assert (said[0], said[2], said[4]) == ("window", "Bob", "nobody works today")


CACHE = {
    "kind": "table",
    "name": "count_of",
    "query": "SELECT customer_id, count(*) AS orders FROM public.orders GROUP BY 1",
}


def test_the_swap_of_a_cache_waits_for_its_window_too(database: str, app: psycopg.Connection) -> None:
    app.execute("CREATE TABLE count_of (customer_id text PRIMARY KEY, orders bigint)")
    gated = {**WINDOWS_ONLY, "windows": closed_now()}
    settings = settings_of(database)

    def until_it_waits(coordinator: Coordinator) -> None:
        if any(cache.problem for cache in caches.read_caches(coordinator.connection, coordinator.run_id)):
            raise Waited

    with pytest.raises(Waited):
        drive(planned(database, tables=(), caches=[CACHE], gates=gated), settings, between_turns=until_it_waits)
    with connect(database, name="test") as connection:
        (cache,) = read_status(connection).to_json()["caches"]
    assert cache["state"] == "ready"
    assert "outside the plan's cutover windows" in cache["problem"]
    assert app.execute("SELECT count(*) FROM count_of").fetchone() == (0,)

    # When the plan's windows are moved so that one is open now
    gated["windows"] = open_now()
    assert drive(planned(database, tables=(), caches=[CACHE], gates=gated), settings).state is RunState.DONE
    assert app.execute("SELECT count(*) FROM count_of").fetchone() == (50,)


def test_a_window_that_ends_during_the_attempt_ends_the_attempt(
    database: str, app: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a window that closes before the first attempt has got its lock, is closed, and opens again
    asked: list[CutoverWindow | None] = [CutoverWindow(reason="outside the plan's cutover windows"), None]
    seen: list[tuple[str, bool]] = []

    def window(*_: object) -> CutoverWindow | None:
        if not any(problem == "the cutover window closed during the attempt" for problem, _ in seen):
            return CutoverWindow(left=timedelta())
        return asked.pop(0) if len(asked) > 1 else asked[0]

    monkeypatch.setattr(coordinating, "window_now", window)

    def look_on(coordinator: Coordinator) -> None:
        for present in conversion_sets.read_sets(coordinator.connection, coordinator.run_id):
            if present.problem:
                seen.append((present.problem, present.autovacuum_before is None))

    # When it runs
    run = drive(planned(database), settings_of(database), between_turns=look_on)

    # Then the attempt was taken back, autovacuum came back for the wait, and the third attempt swapped
    assert run.state is RunState.DONE, run.reason
    assert ("the cutover window closed during the attempt", False) in seen
    assert ("outside the plan's cutover windows", True) in seen
    assert types(app) == {"uuid"}


def test_without_the_section_nothing_is_asked(database: str) -> None:
    file = planned(database)
    assert drive(file, settings_of(database)).state is RunState.DONE
    with connect(database, name="test") as connection:
        run = runs.latest_run(connection)
        assert run is not None
        barrier = gates.read_barrier(connection, run.run_id)
        assert barrier is not None
        assert barrier.gates == []
        assert check_gates(connection, file.plan) == []


def test_scripts_before_the_data_migration_need_no_gate(database: str) -> None:
    file: PlanFile = planned(database, steps={"indexes": {}}, gates={})
    run = drive(file, settings_of(database), STEPS[6])
    assert run.state is RunState.RUNNING
    with connect(database, name="test") as connection:
        assert gates.read_barrier(connection, run.run_id) is None


@pytest.mark.slow
def test_swap_back_to_a_step_asks_the_gates_again(database: str) -> None:
    file = planned(database, steps={"indexes": {}}, gates=ATTESTED)
    settings = settings_of(database)
    with connect(database, name="test") as connection:
        ensure_ledger(connection)
        for name in ("deployment_ready", "team_notified"):
            attest(connection, file.plan, name, by="Ann", note="")
        assert drive(file, settings).state is RunState.DONE
        roll_back(connection, say=lambda _: None, sleep=lambda _: None, to=STEPS[1])
        connection.execute("DELETE FROM replank.gate_record")
    assert drive(file, settings).state is RunState.NEEDS_OPERATOR


def test_a_definition_that_changes_while_the_run_waits_at_its_gates(database: str, app: psycopg.Connection) -> None:
    file = planned(database, gates=ATTESTED | {"attestations": [{"name": "ready"}]})
    settings = settings_of(database)
    assert drive(file, settings).state is RunState.NEEDS_OPERATOR
    with connect(database, name="test") as connection:
        attest(connection, file.plan, "ready", by="Ann", note="")
    app.execute("ALTER TABLE orders ALTER note SET DEFAULT 'x'")
    # When every gate would let it pass, nothing is begun: the tables were planned as they were
    run = drive(file, settings)
    assert run.state is RunState.NEEDS_OPERATOR
    assert "public.orders: its definition was changed since the run was planned" in run.reason
    assert captured(app) == 0
    app.execute("ALTER TABLE orders ALTER note DROP DEFAULT")
    assert drive(file, settings).state is RunState.DONE


def test_swap_back_to_a_step_that_was_never_come_to_says_where_the_run_is(database: str) -> None:
    file = planned(database, steps={"indexes": {}, "enums": [{"name": "color", "values": ["red"]}]}, gates={})
    drive(file, settings_of(database), STEPS[1])
    said: list[str] = []
    with connect(database, name="test") as connection:
        roll_back(connection, say=said.append, sleep=lambda _: None, to=STEPS[6])
        assert said[-1].startswith(
            "everything after step 07-add-table-mappings is undone; step 02-add-missing-indexes is "
        )
        roll_back(connection, say=said.append, sleep=lambda _: None, to=STEPS[1])
        assert said[-1].startswith("rolled back to step 02-add-missing-indexes; ")
        roll_back(connection, say=said.append, sleep=lambda _: None, to=STEPS[0])
        assert "no step is done" in said[-1]
