"""Who has no right is told at its start which GRANT it needs, and the operator sees refused workers in `status`."""

import json

import psycopg
import pytest
from support.runs.processes import Finished
from support.runs.waiting import wait_for

from roles.conftest import Place

pytestmark = pytest.mark.cli

GRANT = "GRANT shop_owner TO nobody;"


def test_a_worker_without_rights(place: Place) -> None:
    """Started before there is a ledger it is refused at its first job, afterwards at its start; others do the work."""
    run, nobody, reader = place.as_role("replank_run"), place.as_role("nobody"), place.as_role("replank_reader")
    early = nobody.worker("--concurrency", "1", "--name", "early@here")
    wait_for("it waits for jobs", lambda: _listens(place, "early@here"))
    going = run.run("--hold-cutover", workers=0)
    refused = early.wait()
    late = nobody.call("worker", "--name", "late@here")
    for done in (refused, late):
        assert (done.exit_code, done.stderr.count("Traceback")) == (2, 0), done.stderr
        assert "A worker needs the rights of role shop_owner" in done.stderr
        assert GRANT in done.stderr

    def named() -> list[str]:
        return [one["login"] for one in reader.call("status", "--json").document["refused"]]

    wait_for("the coordinator has heard of both", lambda: named() == ["nobody", "nobody"])
    shown = reader.call("status").stderr
    assert "worker late@here was refused" in shown
    assert GRANT in shown
    # A lie is not believed
    place.shop.execute(
        'SELECT pg_notify(\'replank_ledger\', \'{"refused": {"login": "replank_worker", "worker": "w"}}\')'
    )
    # When the right is given, it works, and nobody is named any more
    place.shop.execute(GRANT)
    try:
        nobody.worker("--concurrency", "2", "--name", "again@here")
        run.call("cutover", "--as", "olga")
        assert going.wait().exit_code == 0
        assert named() == []
    finally:
        place.shop.execute("REVOKE shop_owner FROM nobody")
    assert named() == ["nobody", "nobody"]


def test_a_worker_that_is_refused_before_the_coordinator_leads(place: Place) -> None:
    """There is a ledger, and the run is being prepared: its later coordinator knows of the refusal all the same."""
    run, nobody, reader = place.as_role("replank_run"), place.as_role("nobody"), place.as_role("replank_reader")
    first = run.run(workers=0)
    wait_for("a run", lambda: _has_run(place))
    first.kill()
    with psycopg.connect(place.shop.admin) as other:
        other.execute("LOCK TABLE replank.run IN ACCESS EXCLUSIVE MODE")
        run.run(workers=0, REPLANK_LOCK_TIMEOUT_MS="60000")
        wait_for("it is being prepared", lambda: _waits(place))
        assert nobody.call("worker", "--name", "early@here").exit_code == 2

    def named() -> list[str]:
        return [one["worker"] for one in reader.call("status", "--json").document["refused"]]

    wait_for("the coordinator has heard of it", lambda: named() == ["early@here"], deadline_s=15)


def test_readers_without_rights(place: Place) -> None:
    """Of the ledger, of the tables, of rows that policies hide; and none that a reader has may change the run."""
    run, nobody, reader = place.as_role("replank_run"), place.as_role("nobody"), place.as_role("replank_reader")
    assert run.run().wait().exit_code == 0
    for command in (("status",), ("failures",), ("verify",), ("report", "--json"), ("exporter", "--port", "0")):
        words = _refused(nobody.call(*command))
        assert "Role nobody may not read the ledger of this database, which role shop_owner owns" in words
        assert '[access] readers = ["nobody"]' in words
    for command in (("pause",), ("retry",), ("cutover",), ("rollback", "--yes"), ("finish", "--yes")):
        words = _refused(reader.call(*command))
        assert f"`replank {command[0]}` needs the rights of role shop_owner" in words
        assert "GRANT shop_owner TO replank_reader;" in words

    # What it is told to do at once is enough for the ledger
    hint = json.loads(nobody.call("status", "--json").stdout)["hint"]
    for statement in hint.split("shop_owner: ")[1].split(";")[:2]:
        place.shop.execute(statement)
    assert nobody.call("status", "--json").exit_code == 0
    words = _refused(nobody.call("verify"))
    assert "Role nobody may not read all rows of public.customers" in words
    assert "GRANT SELECT ON public.customers TO nobody;" in words
    place.shop.execute("DROP OWNED BY nobody")

    # Rather than compare what a policy lets it see, it is refused
    place.shop.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    assert "Policies hide rows from it" in _refused(reader.call("verify"))


def test_readers_come_and_go_with_the_plan(place: Place) -> None:
    """Also when the run is done; a role that is not there is named before anything begins."""
    run, reader = place.as_role("replank_run"), place.as_role("replank_reader")
    text = place.site.plan.read_text()
    place.site.plan.write_text(text.replace('["replank_reader"]', '["replank_reader", "gone"]'))
    done = run.run().wait()
    assert done.exit_code == 2
    assert "role gone does not exist on this server" in done.stderr
    place.site.plan.write_text(text)
    assert run.run().wait().exit_code == 0
    assert reader.call("status").exit_code == 0
    place.site.plan.write_text(text.replace('["replank_reader"]', "[]"))
    assert run.run().wait().exit_code == 0
    assert reader.call("status").exit_code == 2
    with psycopg.connect(place.shop.admin) as connection:
        left = connection.execute("SELECT count(*) FROM pg_default_acl").fetchone()
    assert left == (0,)


def _refused(done: Finished) -> str:
    """What a command that was refused for want of a right has said."""
    assert (done.exit_code, done.stderr.count("Traceback")) == (2, 0), done.stderr
    return done.stderr


def _listens(place: Place, name: str) -> bool:
    """Whether the worker's child has its session."""
    with psycopg.connect(place.shop.admin) as connection:
        found = connection.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = 'nobody'"
        ).fetchone()
    return bool(name) and found is not None


def _has_run(place: Place) -> bool:
    with psycopg.connect(place.shop.admin) as connection:
        there = connection.execute("SELECT to_regclass('replank.run') IS NOT NULL").fetchone()
        return there == (True,) and connection.execute("SELECT FROM replank.run").fetchone() is not None


def _waits(place: Place) -> bool:
    """Whether the session that prepares the run waits for a lock."""
    with psycopg.connect(place.shop.admin) as connection:
        found = connection.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'replank setup'"
            " AND wait_event_type = 'Lock'"
        ).fetchone()
    return found is not None
