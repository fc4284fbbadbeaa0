"""One filled market for all these tests, and a fresh copy of it for each test that writes."""

import time
from collections.abc import Iterator

import pytest
from support.servers.shared import new_database, template

from demo.application import Application, Journal
from demo.datasets.market import create_market
from demo.embedded import EmbeddedPostgres

ROWS = 5_000


@pytest.fixture(scope="package")
def counted(postgres: EmbeddedPostgres) -> Iterator[dict[str, int]]:
    """Fills the database `market_template`; what create_market says about it."""
    counts: dict[str, int] = {}
    with template(postgres, "market_template", lambda url: counts.update(create_market(url, rows=ROWS))):
        yield counts


@pytest.fixture
def market(postgres: EmbeddedPostgres, counted: dict[str, int]) -> Iterator[str]:
    """The URL of a fresh copy of the filled market."""
    assert counted
    with new_database(postgres, template="market_template") as url:
        yield url


@pytest.fixture(scope="package")
def written(postgres: EmbeddedPostgres, counted: dict[str, int]) -> Iterator[Journal]:
    """The database `written`, to which the application wrote for a while; and its journal."""
    assert counted
    journals: list[Journal] = []

    def write(url: str) -> None:
        with Application(url=url, rate=200) as application:
            time.sleep(0.7)
            assert application.stop().lost == []
        assert application.journal is not None
        journals.append(application.journal)

    with template(postgres, "written", write, copied="market_template"):
        yield journals[0]
