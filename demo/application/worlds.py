"""The databases that an application exists for: the shop, and the platform of 71 models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from demo.application.beginning import Beginning
from demo.application.client import Client
from demo.application.deployment import Deployment
from demo.application.hiring import Hiring
from demo.application.model import Model
from demo.application.names import Names
from demo.application.tables import Tables


@dataclass(frozen=True, kw_only=True)
class Crew:
    """All clients with their models; `deployments` by the name of the clients' style."""

    clients: Sequence[Client[Any]]
    models: Sequence[Model]
    beginning: Beginning
    deployments: dict[str, Deployment]


class World(Protocol):
    """A database that an application knows."""

    @property
    def tables(self) -> Tables: ...

    def names_now(self, connection: psycopg.Connection) -> Names:
        """What the tables are called in the database as it is."""
        ...

    def hire(self, connection: psycopg.Connection, hiring: Hiring) -> Crew:
        """Clients, with the rows that are theirs. Raises NothingThere."""
        ...


WORLDS = ("shop", "platform")


def find_world(name: str) -> World:
    """A world by its name."""
    # Each is loaded by itself: the process of an application starts faster.
    if name == "shop":
        from demo.application.shop_world import ShopWorld

        return ShopWorld()
    if name == "platform":
        from demo.platform.application.world import PlatformWorld

        return PlatformWorld()
    raise ValueError(f"no world is called {name}")
