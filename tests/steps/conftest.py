"""A database with a small platform for each test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.servers.shared import new_database, template

from demo.embedded import EmbeddedPostgres
from producer.compiling.compile_steps import compile_steps
from producer.scripts.run_script import ScriptRunner
from producer.steps.compiled import CompiledStep
from replank.plan.plan import Plan
from sql.session.connection import connect
from steps.hand_shop import SHOP, execute

PLATFORM = """
CREATE TABLE tenant (id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE account (id text PRIMARY KEY, tenant_id text NOT NULL REFERENCES tenant ON DELETE CASCADE, "Name" text);
CREATE TABLE membership (
  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,
  tenant_id text NOT NULL REFERENCES tenant ON DELETE CASCADE,
  role text NOT NULL,
  PRIMARY KEY (account_id, tenant_id));
CREATE TABLE "userEvents" (id bigint GENERATED ALWAYS AS IDENTITY, at date NOT NULL, account_id text REFERENCES account,
  PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE "userEvents_old" PARTITION OF "userEvents" FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE "userEvents_new" PARTITION OF "userEvents" FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
CREATE TABLE role_permission (role text, permission text);
INSERT INTO tenant SELECT 't' || g, 'Tenant ' || g FROM generate_series(1, 5) AS g;
INSERT INTO account SELECT 'a' || g, 't' || 1 + g % 5, 'Account ' || g FROM generate_series(1, 500) AS g;
INSERT INTO membership SELECT id, tenant_id, 'member' FROM account;
INSERT INTO "userEvents" (at, account_id) SELECT date '2025-12-01' + g, 'a' || 1 + g FROM generate_series(0, 60) AS g;
INSERT INTO role_permission VALUES ('member', 'read'), ('admin', 'read'), ('admin', 'write');
"""


@pytest.fixture(scope="package")
def platform(postgres: EmbeddedPostgres) -> Iterator[str]:
    with template(postgres, "steps_platform", lambda url: execute(url, PLATFORM)) as name:
        yield name


@pytest.fixture
def database(postgres: EmbeddedPostgres, platform: str) -> Iterator[str]:
    with new_database(postgres, template=platform) as url:
        yield url


Compile = Callable[..., CompiledStep]


@pytest.fixture
def compiled(database: str) -> Compile:
    """Compiles one step of a plan: `compiled(2, indexes={})`."""

    def compile_one(number: int, **steps: Any) -> CompiledStep:
        with connect(database, name="test") as connection:
            plan = Plan.model_validate({"database": {"name": connection.info.dbname}, "steps": steps})
            return next(each for each in compile_steps(connection, plan) if each.step.number == number)

    return compile_one


@pytest.fixture
def runner(database: str) -> Iterator[ScriptRunner]:
    with connect(database, name="test") as connection:
        yield ScriptRunner(connection=connection, attempts=20)


@pytest.fixture(scope="package")
def hand_shop(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A filled shop that databases are copied from."""
    with template(postgres, "hand_shop", lambda url: execute(url, SHOP)) as name:
        yield name


@pytest.fixture
def shops(postgres: EmbeddedPostgres, hand_shop: str) -> Iterator[tuple[str, str]]:
    """Two databases with the same contents."""
    with new_database(postgres, template=hand_shop) as one, new_database(postgres, template=hand_shop) as other:
        yield one, other


@pytest.fixture
def shop(postgres: EmbeddedPostgres, hand_shop: str) -> Iterator[str]:
    """One of them."""
    with new_database(postgres, template=hand_shop) as url:
        yield url
