"""docs/roles.md: its SQL is what makes the roles of these tests, and one whole run is made by them, there and back."""

import json
import time
import urllib.request
from typing import Any

import psycopg
import pytest
from support.runs.processes import Finished
from support.runs.waiting import wait_for

from roles.conftest import Place, Shop, blocks

pytestmark = pytest.mark.cli


def test_the_page_has_sql_for_each_role(filled: Shop) -> None:
    """Every statement of it was executed when the fixture was made."""
    statements = [line for block in blocks("sql") for line in block.split(";") if line.strip()]
    assert len(statements) >= 14
    with psycopg.connect(filled.admin) as connection:
        found = connection.execute(
            "SELECT member::regrole::text FROM pg_auth_members WHERE roleid = 'shop_owner'::regrole ORDER BY 1"
        ).fetchall()
    assert [name for (name,) in found] == ["replank_operator", "replank_run", "replank_worker"]


PERMISSIONS = """
[steps.permission_cache]
query = "SELECT id AS user_id, id AS tenant_id, '[]'::jsonb AS permissions, '[]'::jsonb AS roles FROM public.customers"
sources = [{ table = "customers", user = "id" }]
"""
"""A step that makes a schema, whose counters the report reads."""


@pytest.mark.timeout(240)
def test_a_whole_run_there_and_back_by_four_roles(place: Place) -> None:
    """Without superuser, `pg_monitor` or `session_replication_role`; schema public is another's."""
    run, operator, reader = (place.as_role(f"replank_{name}") for name in ("run", "operator", "reader"))
    with place.site.plan.open("a") as plan:
        plan.write(PERMISSIONS)
    watch = _Watch(place)
    # Given a checked plan, and two workers that were started before there was anything to do
    workers = [place.as_role("replank_worker").worker("--concurrency", "1", "--name", f"w{n}@here") for n in (1, 2)]
    assert _good(run.call("check", str(run.plan), "--json"))["blockers"] == []
    assert reader.call("status").exit_code == 2

    # When it runs, and the operator holds it, slows it down, and lets it go
    going = run.run("--hold-cutover", workers=0)
    wait_for("both tables are ready", lambda: _states(place) == {"ready"}, explain=lambda: going.stderr[-2000:])
    watch.look("before the swap", compared=2)
    for words in (("pause",), ("resume",), ("throttle", "--max-window", "3"), ("throttle", "--reset")):
        assert operator.call(*words, "--as", "olga").exit_code == 0
    assert operator.call("cutover", "--as", "olga").exit_code == 0
    assert _good(going.wait())["state"] == "done"
    watch.look("after the swap", compared=2)
    assert not _good(reader.call("catalogue-diff", "--json"))["unexplained"]
    assert len(_good(reader.call("report", "--json"))) == 6

    # And goes back, and forward again, and is finished
    assert operator.call("rollback", "--yes", "--as", "olga").exit_code == 0
    watch.look("rolled back", compared=None)
    assert _good(run.run(workers=0).wait())["state"] == "done"
    watch.look("forward again", compared=2)
    assert operator.call("finish", "--yes").exit_code == 0
    watch.look("finished", compared=None)
    watch.stop()

    # Then workers of their own login did it, in one attempt each, and everything is the owner's
    assert all(worker.running for worker in workers)
    with psycopg.connect(place.shop.admin) as connection:
        again = connection.execute("SELECT count(*) FROM replank.job_attempt").fetchone()
        owners = connection.execute(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'public' OR n.nspname LIKE 'replank%'"
        ).fetchall()
        types = connection.execute(
            "SELECT DISTINCT data_type FROM information_schema.columns WHERE column_name IN ('id', 'customer_id')"
            " AND table_schema = 'public'"
        ).fetchall()
    assert again == (0,)
    assert owners == [("shop_owner",)]
    assert types == [("uuid",)]


class _Watch:
    """The reader, with its exporter, from the beginning to the end."""

    def __init__(self, place: Place) -> None:
        self._reader = place.as_role("replank_reader")
        self._exporter = self._reader.start("exporter", "--port", "0")
        wait_for("the exporter listens", lambda: "/metrics" in self._exporter.stderr)
        self._address = self._exporter.stderr.split()[-1]

    def look(self, when: str, *, compared: int | None) -> None:
        """`compared` tables are equal on both sides; None where there are no two sides."""
        status = self._reader.call("status", "--json")
        assert status.exit_code == 0, (when, status.stderr)
        assert status.document["refused"] == []
        verified = self._reader.call("verify", "--json")
        if compared is None:
            assert verified.exit_code == 2, (when, verified.stderr)
        else:
            assert verified.exit_code == 0, (when, verified.stderr)
            assert [one["mismatches"] for one in verified.document["tables"]] == [0] * compared
        with urllib.request.urlopen(self._address, timeout=10) as answer:
            assert "replank_up 1.0" in answer.read().decode(), when

    def stop(self) -> None:
        self._exporter.terminate()
        assert self._exporter.wait().exit_code == 0


def _states(place: Place) -> set[str]:
    with psycopg.connect(place.shop.url("replank_reader")) as connection:
        if connection.execute("SELECT to_regnamespace('replank')").fetchone() == (None,):
            return set()
        time.sleep(0.1)
        try:
            return {state for (state,) in connection.execute("SELECT state FROM replank.run_table")}
        except psycopg.errors.UndefinedTable:
            return set()
        except psycopg.errors.InsufficientPrivilege:
            # The ledger is made a moment before it is opened.
            return set()


def _good(done: Finished) -> Any:
    assert done.exit_code == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
