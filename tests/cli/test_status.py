"""`status` and `failures`: the fields that programs count on, at every moment of a run."""

import json
from typing import Any

import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import wait_for

from cli.evidence import document_of, refused

pytestmark = pytest.mark.cli

CONTRACT = {"run_id", "state", "phase", "step", "tables", "jobs", "rate_rows_s", "eta_s", "window"}
TABLE = {"name", "state", "rows_done", "rows_total", "why"}
JOBS = {"waiting", "leased", "done", "failed", "quarantined"}


def test_before_any_run_there_is_nothing_to_show(site: Site) -> None:
    for command in (("status", "--json"), ("status",), ("failures", "--json")):
        refused(site.call(*command), "There is no run on this database", exit_code=2)


def test_status_has_its_fields_at_every_moment(site: Site, ledger: LedgerView) -> None:
    # While nobody works: two tables to copy
    run = site.run("--hold-cutover", workers=0)
    ledger.wait_for_states({"copying"})
    first = _status(site)
    assert [(t["name"], t["state"], t["rows_done"]) for t in first["tables"]] == [
        ("public.customers", "copying", 0),
        ("public.orders", "copying", 0),
    ]
    assert first["jobs"]["waiting"] == 2

    # With a worker, and somebody who watches from elsewhere
    site.worker("--concurrency=1")
    ledger.wait_for_states({"ready"})
    watching = site.start("status", "--watch")
    following = site.start("status", "--watch", "--json")
    held = _status(site)
    assert held["hold_cutover"] is True
    assert [(t["rows_done"], t["rows_total"]) for t in held["tables"]] == [(200, 200), (400, 400)]
    assert document_of(site.call("failures", "--json")) == []
    people = site.call("status")
    assert people.stdout == ""
    for word in ("run 1", "running", "(cutover held)", "public.orders", "400/400"):
        assert word in people.stderr
    assert watching.running

    # At the end the watcher ends too
    assert site.call("cutover").exit_code == 0
    assert run.wait().exit_code == 0
    watched = watching.wait(deadline_s=20)
    assert watched.exit_code == 0, watched.stderr
    assert watched.stdout == ""
    assert "done" in watched.stderr
    # Programs have got an object on each line
    followed = following.wait(deadline_s=20)
    assert followed.exit_code == 0, followed.stderr
    documents = [json.loads(line) for line in followed.stdout.splitlines()]
    assert {document["state"] for document in documents[:-1]} == {"running"}
    assert documents[-1]["state"] == "done"
    last = _status(site)
    assert last["state"] == "done"
    assert {t["state"] for t in last["tables"]} == {"done"}
    assert last["sets"][0]["swapped"] is True
    assert last["sets"][0]["lock_hold_ms"] > 0
    assert sum(last["jobs"].values()) == last["jobs"]["done"] > 0
    # And watching a finished run ends at once
    wait_for("the watcher of a finished run", lambda: site.call("status", "--watch").exit_code == 0, deadline_s=20)


def _status(site: Site) -> dict[str, Any]:
    """`status --json`, its shape examined."""
    found = document_of(site.call("status", "--json"))
    assert isinstance(found, dict)
    assert found.keys() >= CONTRACT
    assert found["jobs"].keys() >= JOBS
    assert all(table.keys() >= TABLE for table in found["tables"])
    assert found["eta_s"] is None or found["eta_s"].keys() == {"low", "high"}
    assert found["window"].keys() >= {"now", "max", "reason"}
    assert (found["run_id"], found["phase"], found["step"]) == (1, 3, "08-migrate-uuid-types")
    return found
