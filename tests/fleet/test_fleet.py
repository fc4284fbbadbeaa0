"""`replank fleet`: one plan on many databases, through the real command line."""

import pytest
from support.runs.waiting import wait_for

from fleet.tenants import Tenants

pytestmark = pytest.mark.cli


def test_one_failure_does_not_stop_the_others_and_the_same_command_goes_on(tenants: Tenants) -> None:
    # Given five databases, one of which has a key that is no uuid
    names = tenants.make(5)
    bad = names[2]
    tenants.spoil(bad)
    page = tenants.site.folder / "fleet.html"

    # When the plan runs on all of them, two at once
    first = tenants.run("--canary", "1", "--at-once", "2", "--out", str(page))

    # Then four are done, one says what it needs, and it is as it was
    assert first.exit_code == 1, first.stderr
    states = {target["name"]: target["state"] for target in first.document["targets"]}
    assert states == {name: "needs_operator" if name == bad else "done" for name in names}
    assert all(tenants.is_converted(name) for name in names if name != bad)
    assert tenants.id_type(bad) == "text"
    assert first.document["counts"] == {"done": 4, "needs_operator": 1}
    assert bad in page.read_text(encoding="utf-8")
    status = tenants.site.call("fleet", "status", "--targets", str(tenants.file), "--json")
    assert status.exit_code == 1
    told = {target["name"]: target for target in status.document["targets"]}
    assert told[bad]["problem"]
    assert told[names[0]]["verified"] is True
    assert told[names[0]]["share"] == 1.0

    # When its cause is gone and the same command is called again
    before = {name: tenants.runs(name) for name in names if name != bad}
    tenants.mend(bad)
    retried = tenants.site.call("retry", "--database-url", tenants.urls[bad])
    assert retried.exit_code == 0, retried.stderr
    second = tenants.run()

    # Then it alone was touched
    assert second.exit_code == 0, second.stderr
    assert second.document["done"] is True
    assert tenants.is_converted(bad)
    assert {name: tenants.runs(name) for name in names if name != bad} == before

    # And no word of any output holds the server's password
    password = tenants.urls[bad].split(":")[2].split("@")[0]
    for said in (first, second, status):
        assert password not in said.stdout + said.stderr
    assert password not in page.read_text(encoding="utf-8")


def test_when_the_canary_fails_nothing_else_begins(tenants: Tenants) -> None:
    names = tenants.make(3)
    tenants.spoil(names[0])
    finished = tenants.run("--canary", "1")
    assert finished.exit_code == 1
    assert [target["state"] for target in finished.document["targets"]] == ["needs_operator", "waiting", "waiting"]
    assert not any(tenants.has_ledger(name) for name in names[1:])


def test_a_killed_fleet_leaves_nothing_running_and_loses_nothing(tenants: Tenants) -> None:
    # Given a fleet in the middle of its work
    names = tenants.make(3)
    fleet = tenants.start("--at-once", "2", "--per-host", "2")
    wait_for("a run to begin", lambda: any(tenants.has_ledger(name) for name in names), deadline_s=60)

    # When it is killed, its runs and their workers end by themselves
    fleet.kill()
    wait_for("all sessions to end", lambda: tenants.sessions() == 0, deadline_s=60)

    # And the same command goes on to the end
    finished = tenants.run("--at-once", "2")
    assert finished.exit_code == 0, finished.stderr
    assert all(tenants.is_converted(name) for name in names)
    assert all(len(tenants.runs(name)) == 1 for name in names)


def test_pause_holds_all_open_runs_and_rollback_takes_all_back(tenants: Tenants) -> None:
    names = tenants.make(2)
    targets = str(tenants.file)
    # A run that nobody works for stays open
    for name in names:
        run = tenants.site.start("run", str(tenants.site.plan), "--quiet", REPLANK_DATABASE_URL=tenants.urls[name])
        wait_for("the run to be open", lambda name=name: tenants.has_ledger(name) and tenants.runs(name), deadline_s=60)  # type: ignore[misc]
        run.terminate()
        run.wait()
    assert tenants.site.call("fleet", "pause", "--targets", targets, "--as", "anna").exit_code == 0
    status = tenants.site.call("fleet", "status", "--targets", targets, "--json")
    assert [target["paused"] for target in status.document["targets"]] == [True, True]
    resumed = tenants.site.call("fleet", "resume", "--targets", targets)
    assert resumed.exit_code == 0, resumed.stderr
    unsaid = tenants.site.call("fleet", "rollback", "--targets", targets)
    assert unsaid.exit_code == 2
    assert "--yes" in unsaid.stderr
    back = tenants.site.call("fleet", "rollback", "--targets", targets, "--yes")
    assert back.exit_code == 0, back.stderr
    status = tenants.site.call("fleet", "status", "--targets", targets, "--json")
    assert [target["state"] for target in status.document["targets"]] == ["rolled_back", "rolled_back"]
    assert {tenants.id_type(name) for name in names} == {"text"}


def test_wrong_use_is_said_before_anything_begins(tenants: Tenants) -> None:
    (name,) = tenants.make(1)
    one_only = tenants.site.folder / "one.toml"
    one_only.write_text(tenants.site.plan.read_text(encoding="utf-8").replace('"*"', '"shop"'), encoding="utf-8")
    refused = tenants.site.call("fleet", str(one_only), "--targets", str(tenants.file))
    assert refused.exit_code == 2
    assert 'name = "*"' in refused.stderr
    missing = tenants.site.call("fleet", "run", str(tenants.site.plan), "--targets", "not-there")
    assert missing.exit_code == 2
    assert "Could not read" in missing.stderr
    # Where no server answers that is said, and no password is
    gone = tenants.site.folder / "gone"
    gone.touch(0o600)
    gone.write_text("lost postgresql://app:s3cret@127.0.0.1:1/lost\n", encoding="utf-8")
    status = tenants.site.call("fleet", "status", "--targets", str(gone), "--json")
    assert status.exit_code == 3
    (lost,) = status.document["targets"]
    assert lost["state"] == "unreachable"
    assert "s3cret" not in status.stdout + status.stderr
    assert not tenants.has_ledger(name)
