"""Many small databases, a plan for any of them, and a broker."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.runs.processes import Site
from support.schemas.small_shop import create_small_shop, write_plan
from support.servers.shared import template

from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from fleet.tenants import TENANT, Tenants

ORDERS = 60
_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def tenant(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of the database that all others are copies of."""
    with template(postgres, TENANT, lambda url: create_small_shop(url, orders=ORDERS)) as name:
        yield name


@pytest.fixture
def tenants(postgres: EmbeddedPostgres, broker: EmbeddedValkey, tenant: str, tmp_path: Path) -> Iterator[Tenants]:
    """Makes databases. Whatever was started has ended afterwards."""
    prefix = f"fleet_{next(_numbers)}"
    site = Site(
        database_url=postgres.url(tenant),
        broker_url=broker.url(),
        plan=write_plan(tmp_path / "plan.toml", database="*"),
        folder=tmp_path,
        settings={"REPLANK_LOCK_TIMEOUT_MS": "60000"},
    )
    made = Tenants(postgres=postgres, site=site, prefix=prefix)
    yield made
    site.end()
    made.drop()
