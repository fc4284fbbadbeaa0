"""A fresh database for each test of the page, and the page's handlers on it."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from support.runs.processes import Site
from support.servers.chromium import open_browser
from support.servers.shared import new_database, template

from benchmarks.looking.painted_run import paint_run
from demo.embedded import EmbeddedPostgres
from page.flower import shop_with_a_bad_row
from page.serving import Served

_numbers = itertools.count(1)

Serve = Callable[..., Served]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here asks a real server over HTTP."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not any(
            item.get_closest_marker(name) for name in ("browser", "unit", "slow")
        ):
            item.add_marker(pytest.mark.protocol)


@pytest.fixture(scope="package")
def painting(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of a database whose ledger has jobs in every state."""
    with template(postgres, "painted", lambda url: paint_run(url, jobs=160)) as name:
        yield name


@pytest.fixture
def painted(postgres: EmbeddedPostgres, painting: str) -> Iterator[str]:
    """The URL of a copy of it."""
    with new_database(postgres, "page", template=painting) as url:
        yield url


@pytest.fixture
def serve() -> Iterator[Serve]:
    begun: list[Served] = []

    def start(url: str, **given: Any) -> Served:
        begun.append(Served(url=url, **given).start())
        return begun[-1]

    yield start
    for served in begun:
        served.stop()


@pytest.fixture
def site(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Site]:
    """A shop with one order whose id is no uuid."""
    with shop_with_a_bad_row(postgres, f"page_{next(_numbers)}", tmp_path) as made:
        yield made


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser | None]:
    with open_browser() as found:
        yield found
