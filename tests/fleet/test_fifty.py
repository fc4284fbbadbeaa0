"""Fifty databases on one server, two of them spoiled: the issue's own size, for `make long`."""

import time

import pytest

from fleet.tenants import Tenants

pytestmark = [pytest.mark.cli, pytest.mark.slow]

MOST_SESSIONS_OF_ONE = 8
"""Coordinator, snapshots, notifications, workers, and whoever looks."""
LOOKING = 8
AT_ONCE = 4


@pytest.mark.timeout(1_800)
def test_fifty_databases(tenants: Tenants) -> None:
    names = tenants.make(50)
    bad = {names[6], names[31]}
    for name in bad:
        tenants.spoil(name)
    fleet = tenants.start("--canary", "2", "--at-once", str(AT_ONCE), "--per-host", str(AT_ONCE))
    most = 0
    while fleet.running:
        most = max(most, tenants.sessions())
        time.sleep(0.5)
    finished = fleet.wait()
    assert finished.exit_code == 1, finished.stderr
    states = {target["name"]: target["state"] for target in finished.document["targets"]}
    assert states == {name: "needs_operator" if name in bad else "done" for name in names}
    assert [name for name in names if not tenants.is_converted(name)] == sorted(bad)
    # However many databases there are, sessions are as many as may run at once need
    assert 0 < most <= AT_ONCE * MOST_SESSIONS_OF_ONE + LOOKING
    for name in bad:
        tenants.mend(name)
        assert tenants.site.call("retry", "--database-url", tenants.urls[name]).exit_code == 0
    again = tenants.run("--at-once", str(AT_ONCE))
    assert again.exit_code == 0, again.stderr
    assert all(tenants.is_converted(name) for name in bad)
