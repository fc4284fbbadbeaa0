"""A database `shop` whose roles are those of docs/roles.md, by the page's own SQL."""

import itertools
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier, Literal
from support.runs.processes import Site
from support.schemas.small_shop import create_small_shop, write_plan
from support.servers.shared import drop_roles, shared

from demo.embedded import EmbeddedPostgres, EmbeddedValkey

PAGE = Path(__file__).parents[2] / "docs" / "roles.md"
OWNER = "shop_owner"
LOGINS = ("replank_run", "replank_worker", "replank_reader", "replank_operator", "nobody")
ORDERS = 300

HIDDEN = '\n[governor]\noff = ["active_backends", "waiting_locks", "xmin_age"]\n'
"""What a plan says where `pg_monitor` cannot be had."""

_numbers = itertools.count(1)


def blocks(language: str) -> list[str]:
    """The page's blocks of one language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


(ACCESS,) = (block for block in blocks("toml") if block.startswith("[access]"))


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A database of the owner's. `url` gives each role's way in; `admin` is a superuser's."""

    admin: str
    password: str

    def url(self, role: str) -> str:
        return make_conninfo(self.admin, user=role, password=self.password)

    def execute(self, *statements: str) -> None:
        """As the administrator."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@pytest.fixture(scope="package")
def filled(postgres: EmbeddedPostgres) -> Iterator[Shop]:
    """The database `shop`, as a managed service would give it, after every statement of the page."""
    before = shared.objects()
    shop = Shop(admin=postgres.create_database("shop"), password=secrets.token_urlsafe(24))
    shop.execute(f"CREATE ROLE {OWNER}", "CREATE ROLE provider", "CREATE ROLE nobody LOGIN")
    shop.execute("ALTER SCHEMA public OWNER TO provider", f"GRANT CREATE ON SCHEMA public TO {OWNER}")
    create_small_shop(f"{shop.admin}?options=-crole%3D{OWNER}", orders=ORDERS)
    for block in blocks("sql"):
        shop.execute(block)
    for login in LOGINS:
        with psycopg.connect(shop.admin, autocommit=True) as connection:
            said = SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(login), Literal(shop.password))
            connection.execute(said)
    made = shared.objects() - before
    with shared.keeping(*made):
        yield shop
        postgres.drop_database("shop")
        drop_roles(postgres, *(name.removeprefix("role ") for name in made if name.startswith("role ")))


@pytest.fixture
def shop(postgres: EmbeddedPostgres, filled: Shop) -> Iterator[Shop]:
    """A fresh copy of it, without what may be granted for the whole server: `pg_monitor`, parameters."""
    name = f"shop_{next(_numbers)}"
    made = replace(filled, admin=postgres.create_database(name, template="shop"))
    made.execute(f"GRANT CREATE, TEMPORARY ON DATABASE {name} TO {OWNER}")
    made.execute(f"REVOKE pg_monitor FROM {OWNER}, replank_reader", f"REVOKE {OWNER} FROM nobody")
    for parameter in ("session_replication_role", "event_triggers"):
        made.execute(f"REVOKE SET ON PARAMETER {parameter} FROM {OWNER}")
    yield made
    postgres.drop_database(name)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A shop with its broker and plan; `as_role` gives what a role's processes are started from."""

    shop: Shop
    site: Site

    def as_role(self, role: str) -> Site:
        return replace(self.site, database_url=self.shop.url(role))


@pytest.fixture
def place(shop: Shop, broker: EmbeddedValkey, tmp_path: Path) -> Iterator[Place]:
    """The plan has the page's `[access]`, and leaves out what others' sessions hide."""
    with psycopg.connect(shop.admin) as connection:
        name = connection.info.dbname
    plan = write_plan(tmp_path / "plan.toml", database=name, extra=HIDDEN + ACCESS)
    site = Site(
        database_url=shop.admin,
        broker_url=broker.url(),
        plan=plan,
        folder=tmp_path,
        settings={"REPLANK_RESEND_AFTER_S": "1"},
    )
    yield Place(shop=shop, site=site)
    site.end()
