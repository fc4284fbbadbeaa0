"""Servers that the tests share, and a fresh database with its plan for each test."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.runs.waiting import LONG
from support.schemas.small_shop import create_small_shop, write_plan
from support.schemas.uuid_columns import write_uuid_plan

from demo.datasets.market import create_market, uuid_columns
from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from faults.broker_view import flush

ORDERS = 200_000 if LONG else 20_000
SAMPLE_ROWS = 300_000 if LONG else 8_000
SETTINGS = {
    # A gate may stay shut for longer than a job would wait for a lock otherwise.
    "REPLANK_LOCK_TIMEOUT_MS": "60000",
    # The short form waits less for what is lost; the long one as long as an operator's run does.
    "REPLANK_RESEND_AFTER_S": "5" if LONG else "1",
}
_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One of their own, because these tests crash it.

    Acknowledged commits survive its own crash, though not the machine's.
    """
    with EmbeddedPostgres(durable=False, settings={"synchronous_commit": "on"}) as server:
        template = server.create_database("small_shop")
        create_small_shop(template, orders=ORDERS)
        yield server


@pytest.fixture(scope="package")
def shared_broker() -> Iterator[EmbeddedValkey]:
    """These tests kill and empty it: one of their own."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def broker(shared_broker: EmbeddedValkey) -> EmbeddedValkey:
    """The broker, empty: jobs of two databases must not meet in one queue."""
    flush(shared_broker)
    return shared_broker


@pytest.fixture
def site(postgres: EmbeddedPostgres, broker: EmbeddedValkey, tmp_path: Path) -> Iterator[Site]:
    """A fresh small shop and its plan. Whatever the test started has ended afterwards."""
    name = f"shop_{next(_numbers)}"
    url = postgres.create_database(name, template="small_shop")
    made = Site(
        database_url=url,
        broker_url=broker.url(),
        plan=write_plan(tmp_path / "plan.toml", database=name),
        folder=tmp_path,
        settings=SETTINGS,
    )
    yield made
    made.end()
    postgres.drop_database(name)


@pytest.fixture
def ledger(site: Site) -> LedgerView:
    return LedgerView(url=site.database_url)


@pytest.fixture(scope="package")
def sample_template(postgres: EmbeddedPostgres) -> str:
    """The name of a database that holds the sample market."""
    create_market(postgres.create_database("sample"), rows=SAMPLE_ROWS)
    return "sample"


@pytest.fixture
def sample_site(
    postgres: EmbeddedPostgres, broker: EmbeddedValkey, sample_template: str, tmp_path: Path
) -> Iterator[Site]:
    """A fresh sample market of fourteen tables and its plan."""
    name = f"sample_{next(_numbers)}"
    made = Site(
        database_url=postgres.create_database(name, template=sample_template),
        broker_url=broker.url(),
        plan=write_uuid_plan(tmp_path / "plan.toml", uuid_columns(), database=name),
        folder=tmp_path,
        settings=SETTINGS,
    )
    yield made
    made.end()
    postgres.drop_database(name)
