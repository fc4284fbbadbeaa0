"""How a command fails: a code for each kind of reason, one sentence, an object for programs, never a traceback."""

import json
from pathlib import Path

import psycopg
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Finished, Site

from demo.embedded import EmbeddedPostgres

pytestmark = pytest.mark.cli

NOWHERE = "postgresql://postgres:s3cret@127.0.0.1:1/shop"


def _failed(finished: Finished, *words: str, code: int) -> dict[str, str]:
    """It ended so, and what a program is told says what people are told, and what to do next."""
    assert finished.exit_code == code, (finished.exit_code, finished.stdout, finished.stderr)
    assert "Traceback" not in finished.stderr + finished.stdout
    assert "s3cret" not in finished.stderr + finished.stdout
    document: dict[str, str] = json.loads(finished.stdout.splitlines()[-1])
    assert set(document) == {"error", "hint"}
    assert document["hint"]
    for word in words:
        assert word in document["error"], document
        assert word in " ".join(finished.stderr.split()), finished.stderr
    return document


def test_wrong_use_is_2(site: Site, postgres: EmbeddedPostgres) -> None:
    _failed(site.call("status", "--json", "--nonsense"), "No such option", code=2)
    _failed(site.call("check", "nowhere.toml", "--json"), "nowhere.toml: could not read the plan", code=2)
    _failed(site.call("status", "--json"), "There is no run on this database", code=2)
    wrong = postgres.url("no_such_database")
    _failed(site.call("status", "--json", REPLANK_DATABASE_URL=wrong), "no_such_database", code=2)
    _failed(site.call("finish", "--json"), "--yes", code=2)


def test_a_server_that_does_not_answer_is_3(site: Site) -> None:
    _failed(site.call("status", "--json", REPLANK_DATABASE_URL=NOWHERE), "127.0.0.1:1", code=3)
    _failed(
        site.call("run", str(site.plan), "--json", REPLANK_BROKER_URL="redis://:s3cret@127.0.0.1:1/0"),
        "127.0.0.1:1",
        code=3,
    )
    unknown = "postgresql://postgres:s3cret@nowhere.invalid/shop"
    _failed(site.call("status", "--json", REPLANK_DATABASE_URL=unknown), "nowhere.invalid", code=3)


def test_what_needs_the_operator_is_1(site: Site) -> None:
    assert site.run().wait().exit_code == 0
    with psycopg.connect(site.database_url) as connection:
        connection.execute("ALTER TABLE orders ADD COLUMN newer int")
    _failed(site.call("rollback", "--yes", "--json"), "column newer of public.orders", code=1)


def test_a_bug_is_one_sentence_a_log_file_and_70(site: Site, ledger: LedgerView, tmp_path: Path) -> None:
    """Here a ledger that was edited by hand, in a way that nobody has thought of."""
    run = site.run("--hold-cutover")
    ledger.wait_for_states({"ready"})
    run.terminate()
    run.wait()
    with psycopg.connect(site.database_url) as connection:
        connection.execute("ALTER TABLE replank.table_history RENAME COLUMN at TO moment")
    told = _failed(site.call("status", "--json", XDG_STATE_HOME=str(tmp_path)), "unexpected error", code=70)
    (log,) = (tmp_path / "replank").glob("*.log")
    assert str(log) in told["hint"]
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    password = site.database_url.split(":")[2].split("@")[0]
    assert password not in log.read_text()
    # Where no file can be written, it is said all the same
    _failed(site.call("status", "--json", XDG_STATE_HOME="/dev/null"), "unexpected error", code=70)
