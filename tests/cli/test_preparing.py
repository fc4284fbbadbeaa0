"""What is said before there is a run: by `run` itself, by `status` from elsewhere, and when its process dies."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Process, Site
from support.runs.waiting import wait_for

pytestmark = pytest.mark.cli


@contextmanager
def _check_held_up(site: Site) -> Iterator[None]:
    """The check's trial waits for a lock of this session: so long the run prepares."""
    with psycopg.connect(site.database_url) as other:
        other.execute("LOCK TABLE public.orders IN ACCESS EXCLUSIVE MODE")
        yield


def _waits_for_lock(site: Site) -> bool:
    with psycopg.connect(site.database_url) as other:
        return bool(other.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall())


def _prepares(site: Site, folder: str) -> Process:
    run = site.start("run", str(site.plan), "--json", XDG_STATE_HOME=folder)
    wait_for("the check to wait for a lock", lambda: _waits_for_lock(site), deadline_s=30)
    return run


def test_a_run_says_what_it_does_before_its_check_has_ended(site: Site, ledger: LedgerView) -> None:
    folder = str(site.folder / "state")
    with _check_held_up(site):
        run = _prepares(site, folder)
        # Its own terminal
        assert "event='connecting to postgresql://" in run.stderr
        wait_for("what it does to be named", lambda: "event='reading the catalogue" in run.stderr, deadline_s=20)
        # Another terminal, of another machine
        elsewhere = str(site.folder / "elsewhere")
        said = site.call("status", XDG_STATE_HOME=elsewhere)
        assert (said.exit_code, said.stdout) == (0, ""), said.stderr
        assert "A run is being prepared" in said.stderr
        assert "since" in said.stderr
        told = site.call("status", "--json", XDG_STATE_HOME=elsewhere)
        assert told.exit_code == 0
        assert (told.document["run_id"], told.document["state"]) == (None, "preparing")
        assert told.document["preparing"].keys() >= {"doing", "since", "pid"}
        assert told.document["preparing"]["alive"] is True
        watching = site.start("status", "--watch", "--json", XDG_STATE_HOME=elsewhere)
        wait_for("the watcher to see it", lambda: '"preparing"' in watching._stdout.read_text())
    # When it has begun, nobody says that it prepares
    ledger.wait_for_states({"copying"})
    begun = site.call("status", "--json", XDG_STATE_HOME=folder)
    assert (begun.document["run_id"], begun.document["preparing"]) == (1, None)
    assert run.running
    run.terminate()
    run.wait()
    wait_for("the watcher to follow the run", lambda: '"run_id": 1' in watching._stdout.read_text())


def test_a_run_that_died_while_it_prepared_is_told_of(site: Site) -> None:
    folder = str(site.folder / "state")
    with _check_held_up(site):
        run = _prepares(site, folder)
        run.kill()
    wait_for("its session to end", lambda: not _waits_for_lock(site))

    def died() -> bool:
        return "died" in site.call("status", XDG_STATE_HOME=folder).stderr

    wait_for("its end to be seen", died)
    said = site.call("status", XDG_STATE_HOME=folder)
    assert said.exit_code == 1
    for words in (str(run.pid), "plan", "Nothing was changed", "replank run PLAN"):
        assert words in said.stderr, said.stderr
    told = site.call("status", "--json", XDG_STATE_HOME=folder)
    assert told.exit_code == 1
    assert "died" in json.loads(told.stdout.splitlines()[-1])["error"]


def test_a_run_that_is_stopped_while_it_prepares_leaves_nothing_behind(site: Site) -> None:
    folder = str(site.folder / "state")
    with _check_held_up(site):
        run = _prepares(site, folder)
        run.terminate()
        ended = run.wait()
    assert ended.exit_code == 1
    assert "No table was changed" in ended.stderr
    said = site.call("status", XDG_STATE_HOME=folder)
    assert said.exit_code == 2
    assert "There is no run on this database" in said.stderr
