"""The platform and its clients: each style has as many, with rows of their own."""

import random
import time
from collections.abc import Mapping, Sequence

import psycopg

from demo.application.client import Client
from demo.application.deployment import Deployment
from demo.application.hiring import Hiring
from demo.application.kind import Kind
from demo.application.model import Model
from demo.application.names import Names
from demo.application.statement import Statement
from demo.application.tables import Tables
from demo.application.worlds import Crew
from demo.platform.application.actor import Actor
from demo.platform.application.adoption import adopt
from demo.platform.application.names import is_ready, names_now
from demo.platform.application.operations import NEW_KINDS, OLD_KINDS
from demo.platform.application.statements import NEW_STYLE, OLD_STYLE
from demo.platform.application.tables import PLATFORM

_STYLES: Mapping[str, tuple[Mapping[str, Statement], Mapping[str, Kind[Actor]]]] = {
    "old": (OLD_STYLE, OLD_KINDS),
    "new": (NEW_STYLE, NEW_KINDS),
}


class PlatformWorld:
    @property
    def tables(self) -> Tables:
        return PLATFORM

    def names_now(self, connection: psycopg.Connection) -> Names:
        return names_now(connection)

    def hire(self, connection: psycopg.Connection, hiring: Hiring) -> Crew:
        rng = hiring.rng
        models = [Model(PLATFORM, random.Random(rng.random())) for _ in range(hiring.clients * len(_STYLES))]
        adoption = adopt(connection, models, rng)
        deployments = {"old": Deployment(), "new": Deployment(is_ready=is_ready)}
        name = f"{time.time_ns():x}"
        clients: list[Client[Actor]] = []
        for style, own in zip(_STYLES, _dealt(models, hiring.clients), strict=True):
            statements, kinds = _STYLES[style]
            for model in own:
                actor = Actor(
                    name=f"{style}.{name}.{len(clients)}",
                    shared=adoption.shared,
                    adopted=adoption.adopted,
                    rng=random.Random(rng.random()),
                )
                clients.append(
                    Client(
                        hiring=hiring,
                        actor=actor,
                        model=model,
                        statements=statements,
                        kinds=kinds,
                        deployment=deployments[style],
                        style=style,
                        rng=actor.rng,
                    )
                )
        return Crew(clients=clients, models=models, beginning=adoption.beginning, deployments=deployments)


def _dealt(models: Sequence[Model], each: int) -> list[Sequence[Model]]:
    return [models[first : first + each] for first in range(0, len(models), each)]
