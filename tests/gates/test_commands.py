"""`replank gates` as people and programs call it; `run` stops with exit code 1 and says what to do."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo
from redis import Redis
from typer.testing import CliRunner, Result

from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from producer.rehearsal.cloning import PREFIX
from replank.cli.app import build_app
from replank.errors import NeedsOperator, ReplankError
from sql.session.database_identity import identity_of

pytestmark = pytest.mark.cli

PLAN = """
version = 1
[database]
name = "{database}"
[[tables]]
name = "customer"
columns = [{{ name = "id", to = "uuid" }}]
[[tables]]
name = "orders"
columns = [{{ name = "id", to = "uuid" }}, {{ name = "customer_id", to = "uuid" }}]
[gates]
not_asked = ["monitoring", "window"{more}]
[gates.backup]
max_age = "1 hour"
"""


@pytest.fixture
def environment(database: str, broker: EmbeddedValkey) -> Mapping[str, str]:
    return {"REPLANK_DATABASE_URL": database, "REPLANK_BROKER_URL": broker.url(), "COLUMNS": "200"}


@pytest.fixture
def plan(database: str, tmp_path: Path) -> Path:
    return written(tmp_path, database, ', "rehearsed", "rollback_scripts"')


def written(folder: Path, database: str, more: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(PLAN.format(database=conninfo.conninfo_to_dict(database)["dbname"], more=more))
    return path


def call(environment: Mapping[str, str], *arguments: str | Path) -> Result:
    """One command in this process. Its errors are raised, where the program would print them."""
    words = [str(argument) for argument in arguments]
    ran = CliRunner().invoke(build_app(words), words, env=dict(environment), catch_exceptions=True)
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran


def document(ran: Result) -> Any:
    return json.loads(ran.stdout.splitlines()[-1])


def test_from_a_stop_at_the_gates_to_the_end(environment: Mapping[str, str], plan: Path, tmp_path: Path) -> None:
    # Given a run that stops at its gates
    stopped = call(environment, "run", plan, "--quiet", "--json")
    assert stopped.exit_code == 1
    assert (document(stopped)["state"], {g["state"] for g in document(stopped)["gates"]}) == (
        "needs_operator",
        {"open"},
    )
    for told in ("replank gates PLAN backup --out DIR", "attest team_notified --by WHO", "override NAME"):
        assert told in " ".join(stopped.stderr.split())

    # When the gates are let pass one after another, `gates` says which are open by its exit code
    shown = call(environment, "gates", plan, "--json")
    assert shown.exit_code == 1
    assert f"`replank gates {plan} attest team_notified --by WHO`" in shown.stderr
    assert not document(shown)["passed"]
    made = call(environment, "gates", plan, "backup", "--out", tmp_path / "backups", "--kind", "dump", "--json")
    assert {g["name"]: g["state"] for g in document(made)["gates"]}["backup"] == "passed"
    call(environment, "gates", plan, "attest", "team_notified", "--by", "Ann", "--note", "[b]ticket 7[/b]")
    call(environment, "gates", plan, "override", "deployment_ready", "--by", "Bob", "--reason", "done by hand")
    passed = call(environment, "gates", plan, "--json")
    assert (passed.exit_code, document(passed)["passed"]) == (0, True)
    assert "[b]ticket 7[/b]" in passed.stderr
    states = {gate["name"]: (gate["state"], gate["by"]) for gate in document(passed)["gates"]}
    assert states["deployment_ready"] == ("overridden", "Bob")

    # Then a backup that has gone since is seen at the barrier
    (backup,) = (path for path in (tmp_path / "backups").iterdir() if path.is_dir())
    shutil.move(backup, tmp_path / "elsewhere")
    assert "does not exist" in call(environment, "run", plan, "--quiet").stderr
    shutil.move(tmp_path / "elsewhere", backup)
    ended = call(environment, "run", plan, "--quiet", "--workers", "1", "--json")
    assert (ended.exit_code, document(ended)["state"]) == (0, "done"), ended.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("attest",), "No gate is named"),
        (("attest", "backup", "--by", "Ann"), "cannot be attested"),
        (("override", "backup", "--by", "Ann"), "needs a reason"),
        (("backup",), "No folder is named"),
    ],
)
def test_what_is_wrong_use(arguments: tuple[str, ...], why: str, environment: Mapping[str, str], plan: Path) -> None:
    with pytest.raises(ReplankError, match=why) as refused:
        call(environment, "gates", plan, *arguments)
    assert refused.value.exit_code == 2


def test_a_plan_without_the_section_is_warned_of(environment: Mapping[str, str], plan: Path, database: str) -> None:
    plan.write_text(plan.read_text().partition("[gates]")[0])
    checked = call(environment, "check", plan, "--json")
    assert "no_gates" in [warning["code"] for warning in document(checked)["warnings"]]
    shown = call(environment, "gates", plan, "--json")
    assert (shown.exit_code, document(shown)["gates"]) == (0, [])
    with psycopg.connect(database) as app:
        assert app.execute("SELECT to_regclass('replank.version')").fetchone() == (None,)


@pytest.mark.slow
@pytest.mark.parametrize("own_server", [True, False])
def test_a_rehearsal_with_workers_of_its_own(
    own_server: bool, environment: Mapping[str, str], tmp_path: Path, postgres: EmbeddedPostgres, database: str
) -> None:
    plan = written(tmp_path, database, ', "backup"')
    where = () if own_server else ("--clone-url", postgres.url())
    rehearsed = call(environment, "rehearse", plan, "--again", "--by", "Ann", "--json", *where)
    assert rehearsed.exit_code == 0, rehearsed.stderr
    assert document(rehearsed)["passed"]
    assert document(rehearsed)["same"]["rows"] == 2050
    assert document(rehearsed)["clone"]["same_server"] is not own_server
    shown = document(call(environment, "gates", plan, "--json"))
    states = {gate["name"]: gate["state"] for gate in shown["gates"]}
    assert (states["rehearsed"], states["rollback_scripts"]) == ("passed", "passed")
    with psycopg.connect(postgres.url()) as connection:
        assert not connection.execute("SELECT FROM pg_database WHERE datname LIKE %s", [f"{PREFIX}%"]).fetchall()
    with psycopg.connect(database) as app:
        assert app.execute("SELECT count(*) FROM replank.run").fetchone() == (0,)
    # Nothing was ever sent to where workers of the database itself would look
    with Redis.from_url(environment["REPLANK_BROKER_URL"]) as queues:
        keys = [key.decode() for key in queues.keys("replank:*")]
    assert keys
    assert not [key for key in keys if key.startswith(f"replank:{identity_of(database)}:")]


@pytest.mark.slow
def test_a_rehearsal_that_fails_is_an_error(
    environment: Mapping[str, str], tmp_path: Path, postgres: EmbeddedPostgres, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("INSERT INTO orders (id, customer_id) SELECT 'no uuid', id FROM customer LIMIT 1")
    with pytest.raises(NeedsOperator, match="The rehearsal failed: forward on the clone"):
        call(environment, "rehearse", written(tmp_path, database, ""), "--clone-url", postgres.url())
