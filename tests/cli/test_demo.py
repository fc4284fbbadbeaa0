"""The demonstration as `make demo` calls it: the whole migration plan on the platform of 71 models.

Seventy tables cost minutes of processor time however few rows they have, so this is for `make long`. What is short is
in `demo_parts`: the plan, its first phases, and both styles of clients on what comes of it.
"""

import pytest

from cli.conftest import MakeSite
from cli.evidence import document_of

pytestmark = [pytest.mark.cli, pytest.mark.slow]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("profile", [(), ("--managed", "--there-and-back")], ids=["superuser", "managed"])
def test_the_whole_plan_is_carried_out_while_two_styles_of_clients_write(
    make_site: MakeSite, profile: tuple[str, ...]
) -> None:
    """Also as a managed service gives a database: no superuser, the owner without a login, the application apart."""
    site = make_site(None)
    report = site.folder / "report.html"
    # When the demonstration is shown in small
    shown = site.call(
        *("demo", "--rows", "2000", "--rate", "12", "--traffic", "4", "--out", str(report), "--json", *profile),
        deadline_s=1140,
    )

    # Then nothing was lost, by nobody's account
    assert shown.exit_code == 0, shown.stderr
    told = document_of(shown)
    assert isinstance(told, dict)
    assert (told["verified"], told["lost_writes"], told["app_errors"]) == (True, 0, 0)
    assert told["writes_found_again"] == told["writes_acknowledged"] > 0
    assert min(told["application"]["by_style"].values()) > 0
    # And the report says the same, and names what is not met
    met = {one["criterion"]: one["met"] for one in told["criteria"]}
    assert len(met) == 6
    assert met["All 71 models have uuid fields"] is True
    assert met["Zero data loss"] is True
    assert met["The audit trail captures all changes"] is True
    assert met["No application errors"] is True
    assert all(f"not met: {name}" in " ".join(shown.stderr.split()) for name, good in met.items() if not good)
    assert "<html" in report.read_text()
    assert told["overridden"] == ["rehearsed", "rollback_scripts"]
