"""One filled shop for all these tests, and a fresh copy of it for each test that writes."""

import time
from collections.abc import Iterator

import pytest
from support.servers.shared import new_database, template

from demo.application import Application, Journal
from demo.datasets.shop import create_shop
from demo.embedded import EmbeddedPostgres

ROWS = 5_000


@pytest.fixture(scope="package")
def counted(postgres: EmbeddedPostgres) -> Iterator[dict[str, int]]:
    """Fills the database `shop_template`; what create_shop says about it."""
    counts: dict[str, int] = {}
    with template(postgres, "shop_template", lambda url: counts.update(create_shop(url, rows=ROWS))):
        yield counts


@pytest.fixture
def shop(postgres: EmbeddedPostgres, counted: dict[str, int]) -> Iterator[str]:
    """The URL of a fresh copy of the filled shop."""
    assert counted
    with new_database(postgres, template="shop_template") as url:
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

    with template(postgres, "written", write, copied="shop_template"):
        yield journals[0]
