"""The role of all clients, and what measures them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import psycopg
import pytest
from support.servers.shared import shared

from clients.client import Client
from clients.measuring import measure
from clients.page import lines, write
from demo.embedded import EmbeddedPostgres

ROLE = "app"
PASSWORD = "of_the_application"
_numbers = itertools.count(1)

Measure = Callable[[Sequence[Client]], dict[str, str]]


@pytest.fixture(scope="package", autouse=True)
def application(postgres: EmbeddedPostgres) -> Iterator[None]:
    """The role of the clients, which is no superuser."""
    with shared.keeping(f"role {ROLE}"), psycopg.connect(postgres.url(), autocommit=True) as connection:
        # pg8000 refuses passwords that were hashed with fewer iterations, as the embedded server's own are.
        connection.execute("SET scram_iterations = 4096")
        connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'".encode())
        yield
        connection.execute(f"DROP ROLE {ROLE}".encode())


def application_url(postgres: EmbeddedPostgres, url: str) -> str:
    """The same database, as the application enters it."""
    return url.replace(f"postgres:{postgres.password}@", f"{ROLE}:{PASSWORD}@")


@pytest.fixture
def measured(
    postgres: EmbeddedPostgres, request: pytest.FixtureRequest
) -> Callable[[Sequence[Client]], dict[str, str]]:
    """Measures clients, without and with `text_casts`: the lines of the table. Writes the page if that is asked for."""

    def of(clients: Sequence[Client]) -> dict[str, str]:
        both = []
        for text_casts in (False, True):
            name = f"clients_{next(_numbers)}"
            url = postgres.create_database(name)
            both.append(measure(url, application_url(postgres, url), clients, text_casts=text_casts))
            postgres.drop_database(name)
        made = lines(*both)
        if request.config.getoption("--clients"):
            write(made)
        return made

    return of
