"""A small shop in a fresh database, and runs driven in this process."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from support.servers.shared import new_database, template

from demo.embedded import EmbeddedPostgres
from producer.coordinator.coordinator import Coordinator
from producer.dispatch.dispatcher import Dispatcher
from producer.planning.resolution import PlanFile
from producer.starting.begin import begin_or_resume
from replank.plan.plan import Plan
from replank.settings import Settings
from replank.values.messages import QUEUES
from replank.values.steps import STEPS, Step
from sql.ledger.jobs.consumers import announce
from sql.ledger.jobs.job_queue import Sendable
from sql.ledger.runs.runs import Run
from sql.session.connection import connect
from workers.execution.executor import Executor

SHOP = """
CREATE TABLE customer (id text PRIMARY KEY, name text);
CREATE TABLE orders (id text PRIMARY KEY, customer_id text NOT NULL REFERENCES customer, number serial, note text);
CREATE INDEX ON orders (note);
CREATE VIEW open_orders AS SELECT o.id, c.name FROM orders o JOIN customer c ON c.id = o.customer_id;
INSERT INTO customer SELECT upper(md5('c' || g)::uuid::text), 'Customer ' || g FROM generate_series(1, 50) AS g;
INSERT INTO orders (id, customer_id, note) SELECT md5('o' || g)::uuid::text, upper(md5('c' || 1 + g % 50)::uuid::text),
  repeat(md5(g::text), 4) FROM generate_series(1, 2000) AS g;
"""

TABLES: list[dict[str, Any]] = [
    {"name": "customer", "columns": [{"name": "id", "to": "uuid"}]},
    {"name": "orders", "columns": [{"name": "id", "to": "uuid"}, {"name": "customer_id", "to": "uuid"}]},
]

NOTHING_LOOKED_AT = ["backup", "rehearsed", "rollback_scripts", "monitoring", "window"]


def _fill(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SHOP)


@pytest.fixture(scope="package")
def shop(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The name of a database with the shop."""
    with template(postgres, "gates_shop", _fill) as name:
        yield name


@pytest.fixture
def database(postgres: EmbeddedPostgres, shop: str) -> Iterator[str]:
    with new_database(postgres, "gates", template=shop) as url:
        yield url


def planned(url: str, *, tables: Sequence[Mapping[str, Any]] = TABLES, **more: Any) -> PlanFile:
    """A plan for the shop; `gates={}` asks for all of them."""
    with connect(url, name="test") as connection:
        plan = Plan.model_validate({"database": {"name": connection.info.dbname}, "tables": tables, **more})
    return PlanFile(plan=plan, source="plan.toml", text="")


class Inline(Dispatcher):
    """Executes what it is told to send, at once."""

    def __init__(self, worker: Executor) -> None:
        self._worker = worker

    def send(self, run_id: int, sendables: Sequence[Sendable], names: Mapping[int, str]) -> list[int]:  # noqa: ARG002
        for job in sendables:
            self._worker.execute(run_id=run_id, job_id=job.job_id)
        return []


def drive(
    file: PlanFile,
    settings: Settings,
    until: Step = STEPS[-1],
    *,
    between_turns: Callable[[Coordinator], None] = lambda _: None,
) -> Run:
    """What `replank run` does, in this process and without a queue: until it is done or a person is needed."""
    url = settings.database()
    with connect(url, name="coordinator") as connection, connect(url, name="worker") as session:
        run = begin_or_resume(connection, file, hold_cutover=False)
        announce(session, QUEUES)
        worker = Executor(connection=session, worker="w", settings=settings, random_source=random.Random(1))
        coordinator = Coordinator(
            connection=connection,
            settings=settings,
            run_id=run.run_id,
            dispatcher=Inline(worker),
            random_source=random.Random(1),
            until=until,
        )
        coordinator.between_turns = lambda _: between_turns(coordinator)
        return coordinator.drive()


def settings_of(url: str) -> Settings:
    """With a broker that nobody is to talk to."""
    return Settings(database_url=SecretStr(url), broker_url=SecretStr("redis://127.0.0.1:9/0"))
