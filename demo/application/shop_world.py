"""The shop and its clients: all of one style, which no conversion disturbs."""

import random
import time

import psycopg

from demo.application.actor import Actor
from demo.application.adoption import adopt
from demo.application.client import Client
from demo.application.deployment import Deployment
from demo.application.hiring import Hiring
from demo.application.model import Model
from demo.application.names import AS_WRITTEN, Names
from demo.application.operations import KINDS
from demo.application.shop import SHOP
from demo.application.statements import STATEMENTS
from demo.application.tables import Tables
from demo.application.worlds import Crew


class ShopWorld:
    @property
    def tables(self) -> Tables:
        return SHOP

    def names_now(self, connection: psycopg.Connection) -> Names:  # noqa: ARG002
        return AS_WRITTEN

    def hire(self, connection: psycopg.Connection, hiring: Hiring) -> Crew:
        rng = hiring.rng
        models = [Model(SHOP, random.Random(rng.random())) for _ in range(hiring.clients)]
        shared, beginning = adopt(connection, models, rng)
        deployment = Deployment()
        # Unlike any earlier run's on the same database, whatever the seed.
        name = f"{time.time_ns():x}"
        actors = [
            Actor(name=f"{name}.{number}", shared=shared, rng=random.Random(rng.random()))
            for number in range(hiring.clients)
        ]
        clients = [
            Client(
                hiring=hiring,
                actor=actor,
                model=model,
                statements=STATEMENTS,
                kinds=KINDS,
                deployment=deployment,
                style="shop",
                rng=actor.rng,
            )
            for actor, model in zip(actors, models, strict=True)
        ]
        return Crew(clients=clients, models=models, beginning=beginning, deployments={"old": deployment})
