"""One server for all these tests, one filled shop, and a fresh copy of it for each test that writes."""

import itertools
import time
from collections.abc import Iterator

import pytest

from demo.application import Application, Journal
from demo.datasets.shop import create_shop
from demo.embedded import EmbeddedPostgres

ROWS = 5_000
_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of our own."""
    with EmbeddedPostgres(durable=False) as running:
        yield running


@pytest.fixture(scope="package")
def counted(server: EmbeddedPostgres) -> dict[str, int]:
    """Fills the database `shop_template`; what create_shop says about it."""
    return create_shop(server.create_database("shop_template"), rows=ROWS)


@pytest.fixture
def shop(server: EmbeddedPostgres, counted: dict[str, int]) -> str:
    """The URL of a fresh copy of the filled shop."""
    assert counted
    return server.create_database(f"shop_{next(_numbers)}", template="shop_template")


@pytest.fixture(scope="package")
def written(server: EmbeddedPostgres, counted: dict[str, int]) -> Journal:
    """The database `written`, to which the application wrote for a while; and its journal."""
    assert counted
    with Application(url=server.create_database("written", template="shop_template"), rate=200) as application:
        time.sleep(0.7)
        assert application.stop().lost == []
    assert application.journal is not None
    return application.journal
