"""A shop with one order whose id is no uuid, and Flower beside it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from support.runs.processes import Process, Site
from support.runs.waiting import wait_for
from support.schemas.small_shop import create_small_shop, write_plan

from demo.embedded import EmbeddedPostgres, EmbeddedValkey

BAD = "broken-42"
LOGIN = ("alice", "wonderland")


@contextmanager
def shop_with_a_bad_row(postgres: EmbeddedPostgres, name: str, folder: Path, **settings: str) -> Iterator[Site]:
    """In a database of its own, with a broker of its own: Flower shows whoever works on it."""
    url = postgres.create_database(name)
    create_small_shop(url, orders=3000)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE orders SET id = %s WHERE number = 42", [BAD])
    with EmbeddedValkey() as broker:
        made = Site(
            database_url=url,
            broker_url=broker.url(),
            plan=write_plan(folder / "plan.toml", database=name),
            folder=folder,
            settings={"REPLANK_LOCK_TIMEOUT_MS": "60000", "REPLANK_FLOWER_LOGINS": ":".join(LOGIN), **settings},
        )
        try:
            yield made
        finally:
            made.end()
    postgres.drop_database(name)


def address(flower: Process) -> str:
    """Where it says that the page is."""
    found = wait_for("the page's address", lambda: re.search(r"at (http://\S+)/run", flower.stderr))
    return found.group(1)


def start_flower(site: Site) -> Process:
    return site.start("flower", "--port", "0", "--state", str(site.folder / "state" / "flower"))
