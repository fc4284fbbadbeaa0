"""Servers that these tests share, and a fresh small shop with its plan for each test."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.schemas.small_shop import create_small_shop, write_plan

from demo.embedded import EmbeddedPostgres, EmbeddedValkey

ORDERS = 400
_numbers = itertools.count(1)

MakeSite = Callable[[str | None], Site]
"""A site on a new database made from the given template, or on an empty one."""


@pytest.fixture(scope="package")
def postgres() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(durable=False) as server:
        create_small_shop(server.create_database("small_shop"), orders=ORDERS)
        yield server


@pytest.fixture(scope="package")
def broker() -> Iterator[EmbeddedValkey]:
    """Shared without emptying it: queues bear the name of their database."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def make_site(postgres: EmbeddedPostgres, broker: EmbeddedValkey, tmp_path: Path) -> Iterator[MakeSite]:
    """Makes sites. Whatever they started has ended afterwards."""
    made: list[tuple[str, Site]] = []

    def make(template: str | None) -> Site:
        name = f"cli_{next(_numbers)}"
        folder = tmp_path / name
        folder.mkdir()
        site = Site(
            database_url=postgres.create_database(name, template=template),
            broker_url=broker.url(),
            plan=write_plan(folder / "plan.toml", database=name),
            folder=folder,
            settings={"REPLANK_LOCK_TIMEOUT_MS": "60000"},
        )
        made.append((name, site))
        return site

    yield make
    for name, site in made:
        site.end()
        postgres.drop_database(name)


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site("small_shop")


@pytest.fixture
def ledger(site: Site) -> LedgerView:
    return LedgerView(url=site.database_url)
