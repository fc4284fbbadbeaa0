"""One server with many small databases, a plan for any of them, and a broker."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.runs.processes import Site
from support.schemas.small_shop import create_small_shop, write_plan

from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from fleet.tenants import Tenants

ORDERS = 60
_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def postgres() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(durable=False) as server:
        create_small_shop(server.create_database("tenant"), orders=ORDERS)
        yield server


@pytest.fixture(scope="package")
def broker() -> Iterator[EmbeddedValkey]:
    """Shared without emptying it: queues bear the name of their database."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def tenants(postgres: EmbeddedPostgres, broker: EmbeddedValkey, tmp_path: Path) -> Iterator[Tenants]:
    """Makes databases. Whatever was started has ended afterwards."""
    prefix = f"fleet_{next(_numbers)}"
    site = Site(
        database_url=postgres.url("tenant"),
        broker_url=broker.url(),
        plan=write_plan(tmp_path / "plan.toml", database="*"),
        folder=tmp_path,
        settings={"REPLANK_LOCK_TIMEOUT_MS": "60000"},
    )
    made = Tenants(postgres=postgres, site=site, prefix=prefix)
    yield made
    site.end()
    made.drop()
