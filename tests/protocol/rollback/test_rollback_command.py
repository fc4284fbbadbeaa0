"""`replank rollback` asks first, shows its stages from its first statement on, and leaves a record of its end."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from rich.console import Console
from support.oracles.oracle import one
from support.oracles.returning import catalogue, changed, everything_left
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, table
from typer.testing import CliRunner, Result

from monitoring.cli import status_and_failures as monitoring_commands
from monitoring.status.read_status import read_status
from monitoring.status.status import Status
from monitoring.terminal.screen import render
from monitoring.terminal.watch import View, is_over, read_view
from producer.cli import rollback_and_finish, run
from producer.operator.operator import Operator
from producer.rollback.rollback import roll_back
from replank.errors import NeedsOperator, ReplankError
from replank.values.states import RollbackStage, RunState
from sql.ledger.runs import rollbacks
from sql.session.connection import Connection, connect

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]
Call = Callable[..., Result]

ANA = Operator(name="ana", via="command line")
LEDGERS_OWN = "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace('replank') ORDER BY 1"


@pytest.fixture
def call(database: Url) -> Call:
    """Runs `replank ARGUMENTS` in this process; `answers` is what is typed."""
    app = typer.Typer()
    for module in (rollback_and_finish, run, monitoring_commands):
        module.register(app)

    def invoke(*arguments: str, answers: str = "") -> Result:
        return CliRunner().invoke(app, [*arguments, "--database-url", database], input=answers)

    return invoke


@pytest.fixture
def done(app: psycopg.Connection, begin: Begin) -> Rebuild:
    """A run that is done, and one write since."""
    app.execute("CREATE TABLE parent (id text PRIMARY KEY, n int)")
    app.execute("CREATE TABLE child (id text PRIMARY KEY, parent_id text REFERENCES parent)")
    app.execute("INSERT INTO parent SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    app.execute("INSERT INTO child SELECT gen_random_uuid()::text, id FROM parent")
    rebuild = begin(
        table("parent", "id"),
        table("child", "id", "parent_id"),
        capture_attempts=3,
        cutover_attempts=3,
        lock_timeout_ms=50,
    )
    rebuild.finish()
    app.execute("INSERT INTO parent VALUES (gen_random_uuid(), 51)")
    rebuild.close()
    return rebuild


def _status(url: Url) -> Status:
    with connect(url, name="status") as connection:
        return read_status(connection)


def _view(url: Url) -> View:
    with connect(url, name="status") as connection:
        return read_view(connection)


def _shown(status: Status) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(render(status))
    return " ".join(console.export_text().split())


def _words(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.mark.attack("D8", "a rollback of a wrong database")
def test_it_names_database_run_and_tables_and_asks(
    app: psycopg.Connection, database: Url, call: Call, done: Rebuild, tmp_path: Path, attack: Attack
) -> None:
    """Given a run that is done, when nobody confirms, then nothing is undone."""
    name, host = database.rsplit("/", 1)[1].split("?")[0], "127.0.0.1"
    for answers in ("", "n\n", "\n", "y\n", f"{name}x\n"):
        asked = call("rollback", answers=answers)
        assert asked.exit_code == 1, asked.output
        told = _words(asked)
        for words in (
            f"database {name}",
            host,
            f"Run {done.run_id}",
            "plan plan",
            "public.parent",
            "public.child",
            "1 change",
            "Quarantined: no row",
            "Failed: no job",
        ):
            assert words in told, (words, told)
    refused = call("rollback", "--json")
    assert isinstance(refused.exception, ReplankError)
    assert (refused.exception.exit_code, refused.stdout) == (2, "")
    for other in ('[database]\nname = "another"\n', f'name = "other"\n[database]\nname = "{name}"\n'):
        plan = tmp_path / "plan.toml"
        text = other if other.startswith("name") else f"{other}"
        plan.write_text(f'version = 1\n{text}[[tables]]\nname = "parent"\nmethod = "rebuild"\n')
        wrong = call("rollback", str(plan), "--yes")
        assert isinstance(wrong.exception, ReplankError), wrong.output
        assert wrong.exception.exit_code == 2
        assert "plan.toml" in str(wrong.exception)
    assert one(app, "SELECT pg_typeof(id)::text FROM parent LIMIT 1") == "uuid"
    assert one(app, "SELECT state FROM replank.run") == "done"
    attack.record("asked, with database, host, run and tables; nothing was undone", tried=8)
    # And the right plan, confirmed, does it
    plan.write_text(_text(name))
    confirmed = call("rollback", str(plan), answers=f"{name}\n")
    assert confirmed.exit_code == 0, (confirmed.output, confirmed.exception)
    assert one(app, "SELECT count(*) FROM parent WHERE pg_typeof(id) = 'text'::regtype") == 51


def _text(database: str, *, of_parent: str = 'columns = [{ name = "id", to = "uuid" }]', waits_ms: int = 50) -> str:
    """The plan of `done`, as a file that `inspect` would have named after its database."""
    return (
        f'version = 1\n[database]\nname = "{database}"\n'
        f"[options]\ncapture_attempts = 3\ncutover_attempts = 3\nlock_timeout_ms = {waits_ms}\n"
        f'[[tables]]\nname = "parent"\n{of_parent}\n'
        '[[tables]]\nname = "child"\ncolumns = [{ name = "id", to = "uuid" }, { name = "parent_id", to = "uuid" }]\n'
    )


@pytest.mark.attack("D8", "a rollback with the file of another plan for the same database")
def test_a_plan_that_says_something_else_does_not_undo_the_run(
    app: psycopg.Connection, database: Url, call: Call, done: Rebuild, tmp_path: Path, attack: Attack
) -> None:
    """Same database, same name: other tables, or the run's own file that was edited since."""
    name = database.rsplit("/", 1)[1].split("?")[0]
    plan = tmp_path / "plan.toml"
    other = f'version = 1\n[database]\nname = "{name}"\n[[tables]]\nname = "parent"\nmethod = "rebuild"\n'
    for text in (other, _text(name, waits_ms=60)):
        plan.write_text(text)
        for more in ((), ("--run", str(done.run_id))):
            wrong = call("rollback", str(plan), "--yes", *more)
            assert isinstance(wrong.exception, ReplankError), wrong.output
            assert wrong.exception.exit_code == 2
            said = str(wrong.exception)
            for words in (
                f"{plan}: run {done.run_id} of database {name} (done, its plan names public.parent, public.child)",
                "of another version of this plan",
                "Nothing was changed",
                f"`replank rollback --run {done.run_id}`, without a plan",
            ):
                assert words in said, (words, said)
    assert one(app, "SELECT pg_typeof(id)::text FROM parent LIMIT 1") == "uuid"
    assert one(app, "SELECT state FROM replank.run") == "done"
    attack.record("refused: it names the run, its tables, and how to go on", tried=4)


def test_a_plan_whose_own_run_is_older_is_told_that_run(
    app: psycopg.Connection, database: Url, begin: Begin, call: Call, done: Rebuild, tmp_path: Path
) -> None:
    name = database.rsplit("/", 1)[1].split("?")[0]
    app.execute("CREATE TABLE later (id text PRIMARY KEY)")
    newer = begin(table("later", "id"))
    newer.finish()
    newer.close()
    plan = tmp_path / "plan.toml"
    plan.write_text(_text(name))
    wrong = call("rollback", str(plan), "--yes")
    assert isinstance(wrong.exception, ReplankError), wrong.output
    assert f"This plan's run is run {done.run_id}: `replank rollback {plan} --run {done.run_id}`" in str(
        wrong.exception
    )
    assert one(app, "SELECT count(*) FROM replank.run WHERE state = 'done'") == 2
    right = call("rollback", str(plan), "--yes", "--run", str(done.run_id))
    assert right.exit_code == 0, (right.output, right.exception)


@pytest.mark.attack("D8", "how a rollback ended, and who did it")
def test_its_end_and_its_actor_stay_readable_and_the_next_run_begins_normally(
    app: psycopg.Connection, database: Url, call: Call, done: Rebuild, begin: Begin, attack: Attack
) -> None:
    result = call("rollback", "--yes", "--json", "--as", "ana")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout.strip().splitlines()[-1])
    assert (document["run_id"], document["state"]) == (done.run_id, "rolled_back")
    # Nothing but the ledger itself is left, and in it the run's end
    assert everything_left(app) == ["replank"]
    own = app.execute(LEDGERS_OWN).fetchall()
    status = _status(database)
    said = json.loads(call("status", "--json").stdout)
    assert (said["state"], said["tables"], said["rollback"]["by"]) == ("rolled_back", [], "ana")
    assert said["rollback"]["ended_at"] is not None
    assert f"Run {done.run_id} was rolled back by ana at " in _shown(status)
    assert "only its record is left" in _shown(status)
    (headline,) = status.headlines
    assert "ana" in headline.words + headline.why
    again = call("rollback", "--yes")
    assert isinstance(again.exception, ReplankError)
    assert "was rolled back by ana" in str(again.exception)
    # The next run
    rebuild = begin(table("parent", "id"), table("child", "id", "parent_id"))
    rebuild.finish()
    assert rebuild.run_id == done.run_id + 1
    rebuild.close()
    # And nothing at all is left where that is asked for
    assert call("rollback", "--yes").exit_code == 0
    assert app.execute(LEDGERS_OWN).fetchall() == own
    gone = call("rollback", "--yes", "--forget")
    assert gone.exit_code == 0, gone.output
    assert everything_left(app) == []
    attack.record("status, page and --json name the run's end, its time and its actor", tried=2)


@pytest.mark.usefixtures("done")
def test_its_state_and_stages_are_seen_from_the_first_statement_on(
    database: Url, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    set_stage = rollbacks.set_stage

    def look(connection: Connection, run_id: int, stage: RollbackStage, subject: str = "") -> None:
        set_stage(connection, run_id, stage, subject)
        status = _status(database)
        assert status.run.state is RunState.ROLLING_BACK
        assert status.rollback is not None
        (headline,) = status.headlines
        assert headline.words == f"Rolling back, {status.rollback.stage_words}"
        assert status.rollback.stage_words in _shown(status)
        assert not is_over(_view(database))
        seen.append(str(status.rollback.stage))

    monkeypatch.setattr(rollbacks, "set_stage", look)
    with connect(database, name="rollback") as connection:
        roll_back(connection, say=lambda _: None, by=ANA, keep_record=True)
    stages = ["preparing", "comparing", "swapping_back", "validating", "removing", "undoing_steps"]
    assert list(dict.fromkeys(seen)) == stages
    assert _status(database).run.state is RunState.ROLLED_BACK
    assert is_over(_view(database))


@pytest.mark.attack("D8", "a rollback that is refused, or killed before anything changed places")
@pytest.mark.usefixtures("done")
@pytest.mark.parametrize("how", ["refused", "killed"])
def test_a_rollback_that_did_not_begin_leaves_the_run_done(
    app: psycopg.Connection, database: Url, call: Call, attack: Attack, how: str
) -> None:
    """Either it goes on with the same command, or the run may be finished."""
    finished_at = one(app, "SELECT finished_at FROM replank.run")
    if how == "refused":
        app.execute("ALTER TABLE parent ADD COLUMN newer int")
        with connect(database, name="rollback") as connection, pytest.raises(NeedsOperator, match="newer"):
            roll_back(connection, say=lambda _: None, by=ANA, keep_record=True)
        status = _status(database)
        assert status.run.state is RunState.DONE
        assert "newer" in _shown(status)
        assert "ana" in status.headlines[0].words
        assert one(app, "SELECT finished_at FROM replank.run") == finished_at
    else:

        def die(_: str) -> None:
            raise KeyboardInterrupt

        with connect(database, name="rollback") as connection, pytest.raises(KeyboardInterrupt):
            roll_back(connection, say=die, by=ANA, keep_record=True)
        assert _status(database).run.state is RunState.ROLLING_BACK
    assert one(app, "SELECT pg_typeof(id)::text FROM parent LIMIT 1") == "uuid"
    finished = call("finish", "--yes")
    assert finished.exit_code == 0, (finished.output, finished.exception)
    assert _status(database).run.state is RunState.FINISHED
    attack.record("the run is done as before, and can be finished")


def test_a_run_that_was_never_swapped_leaves_its_record_too(
    app: psycopg.Connection, database: Url, begin: Begin, call: Call
) -> None:
    app.execute("CREATE TABLE parent (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO parent SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    before = catalogue(database, ["public"])
    rebuild = begin(table("parent", "id"))
    rebuild.ready()
    rebuild.close()
    asked = call("rollback", answers="n\n")
    assert "next table" in _words(asked)
    assert call("rollback", "--yes", "--as", "ana").exit_code == 0
    assert everything_left(app) == ["replank"]
    assert changed(before, catalogue(database, ["public"])) == {}
    status = _status(database)
    assert status.run.state is RunState.ROLLED_BACK
    assert status.rollback is not None
    assert status.rollback.by == "ana"
