"""All clients of a workload: hired before anything is written, each with rows of its own."""

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from demo.clients.adoption import Beginning
from demo.clients.client import Client
from demo.clients.deployment import Deployment
from demo.clients.model import Model
from demo.clients.workload import Workload


@dataclass(frozen=True, kw_only=True)
class Hiring:
    """So many clients of each group, which are together `rate` transactions a second, until `stop` is set."""

    url: str
    clients: int
    rate: float
    rng: random.Random
    stop: threading.Event


@dataclass(frozen=True, kw_only=True)
class Crew:
    """All clients with their models; `deployments` by the name of the clients' group."""

    clients: Sequence[Client[Any]]
    models: Sequence[Model]
    beginning: Beginning
    deployments: dict[str, Deployment]


def hire(workload: Workload[Any], hiring: Hiring) -> Crew:
    """Clients of all groups, with the rows that are theirs. Raises NothingThere."""
    rng = hiring.rng
    owners = [group for group in workload.groups for _ in range(hiring.clients)]
    models = [Model(workload.tables, random.Random(rng.random())) for _ in owners]
    with psycopg.connect(hiring.url) as connection:
        adoption = workload.adopt(connection, models, rng)
    deployments = {group.name: Deployment(is_ready=group.is_ready) for group in workload.groups}
    # Unlike any earlier run's on the same database, whatever the seed.
    run = f"{time.time_ns():x}"
    clients = [
        Client(
            url=hiring.url,
            interval_s=hiring.clients / hiring.rate,
            stop=hiring.stop,
            group=group,
            actor=workload.actor(
                name=f"{group.name}.{run}.{number}", adoption=adoption, rng=random.Random(rng.random())
            ),
            model=model,
            deployment=deployments[group.name],
        )
        for number, (group, model) in enumerate(zip(owners, models, strict=True))
    ]
    return Crew(clients=clients, models=models, beginning=adoption.beginning, deployments=deployments)
