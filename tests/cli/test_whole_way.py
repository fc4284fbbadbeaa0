"""What the README promises: inspect, check, run; and the demonstration of all of it."""

from collections.abc import Iterator

import pytest
from support.schemas.uuid_columns import uuid_differences
from support.servers.shared import template

from cli.conftest import MakeSite
from cli.evidence import document_of, refused
from demo.datasets.market import create_market, uuid_columns
from demo.embedded import EmbeddedPostgres

pytestmark = pytest.mark.cli


@pytest.fixture(scope="module")
def sample(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of a database that holds the sample market."""
    with template(postgres, "cli_sample", lambda url: create_market(url, rows=3_000)) as name:
        yield name


def test_inspect_check_and_run(make_site: MakeSite, sample: str) -> None:
    # Given a plan that `inspect` proposed
    site = make_site(sample)
    site.plan.unlink()
    proposed = site.call("inspect", "--every-uuid", "--out", str(site.plan), "--json")
    assert proposed.exit_code == 0, proposed.stderr
    proposal = document_of(proposed)
    assert isinstance(proposal, dict)
    refused(site.call("inspect", "--every-uuid", "--out", str(site.plan)), "already exists", exit_code=2)

    # When it is checked and run, as it is
    checked = site.call("check", str(site.plan), "--json")
    assert checked.exit_code == 0, checked.stderr
    report = document_of(checked)
    assert isinstance(report, dict)
    assert report["blockers"] == []
    finished = site.run().wait()

    # Then every table of the proposal is converted, and every row is there
    assert finished.exit_code == 0, finished.stderr
    status = document_of(finished)
    assert isinstance(status, dict)
    assert status["state"] == "done"
    assert {t["name"] for t in status["tables"]} == {f"{t['schema']}.{t['name']}" for t in proposal["tables"]}
    assert {t["state"] for t in status["tables"]} == {"done"}
    assert uuid_differences(site.database_url, uuid_columns()) == []


@pytest.mark.slow
def test_the_demonstration_tells_what_it_measured(make_site: MakeSite) -> None:
    site = make_site(None)
    shown = site.call("demo", "--market", "--rows", "3000", "--json", deadline_s=240)
    assert shown.exit_code == 0, shown.stderr
    told = document_of(shown)
    assert isinstance(told, dict)
    assert (told["verified"], told["lost_writes"], told["app_errors"]) == (True, 0, 0)
    assert told["rows"] >= 2_900
    assert told["seconds"] > 0
    assert told["offline_seconds"] > 0
    assert told["ratio"] == pytest.approx(told["seconds"] / told["offline_seconds"], abs=0.01, rel=0.01)
    assert 0 < told["lock_hold_ms"] < 2_000
    assert told["writes_acknowledged"] > 0
    assert told["writes_found_again"] == told["writes_acknowledged"]
    assert "Text ids became native uuid" in shown.stderr


def test_the_demonstration_under_the_managed_profile(make_site: MakeSite) -> None:
    """No superuser, no `pg_read_all_stats`, another owner of public: the market is converted under live writes."""
    site = make_site(None)
    shown = site.call("demo", "--market", "--managed", "--rows", "1500", "--rate", "60", "--json", deadline_s=240)
    assert shown.exit_code == 0, shown.stderr
    told = document_of(shown)
    assert isinstance(told, dict)
    assert (told["verified"], told["lost_writes"], told["app_errors"]) == (True, 0, 0)
    assert told["writes_found_again"] == told["writes_acknowledged"] > 0


@pytest.mark.slow
def test_the_demonstration_of_sqlalchemy_and_alembic(make_site: MakeSite) -> None:
    """What is short of it is in `demo_parts/test_shop.py`."""
    site = make_site(None)
    refused(site.call("demo", "--shop", "--market"), "two databases", exit_code=2)
    refused(site.call("demo", "--unprepared"), "--shop", exit_code=2)
    shown = site.call("demo", "--shop", "--rows", "2000", "--rate", "16", "--json", deadline_s=290)
    assert shown.exit_code == 0, shown.stderr
    told = document_of(shown)
    assert isinstance(told, dict)
    assert (told["verified"], told["lost_writes"], told["app_errors"]) == (True, 0, 0)
    assert (told["history"]["same"], told["history"]["stamped"]) == (True, True)
    assert min(count for phases in told["by_client"].values() for count in phases.values()) > 0
    assert told["history"]["revision"] in shown.stderr
