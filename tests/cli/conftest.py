"""A fresh small shop with its plan for each test."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.runs.ledger_view import LedgerView
from support.runs.processes import Site
from support.schemas.small_shop import create_small_shop, write_plan
from support.servers.shared import template

from demo.embedded import EmbeddedPostgres, EmbeddedValkey

ORDERS = 400
_numbers = itertools.count(1)

MakeSite = Callable[[str | None], Site]
"""A site on a new database made from the given template, or on an empty one."""


@pytest.fixture(scope="package")
def small_shop(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of a database with a small shop."""
    with template(postgres, "cli_shop", lambda url: create_small_shop(url, orders=ORDERS)) as name:
        yield name


@pytest.fixture
def make_site(postgres: EmbeddedPostgres, broker: EmbeddedValkey, tmp_path: Path) -> Iterator[MakeSite]:
    """Makes sites. Whatever they started has ended afterwards."""
    made: list[tuple[str, Site]] = []

    def make(copied: str | None) -> Site:
        name = f"cli_{next(_numbers)}"
        folder = tmp_path / name
        folder.mkdir()
        site = Site(
            database_url=postgres.create_database(name, template=copied),
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
def site(make_site: MakeSite, small_shop: str) -> Site:
    return make_site(small_shop)


@pytest.fixture
def ledger(site: Site) -> LedgerView:
    return LedgerView(url=site.database_url)
