"""What clients do to one database: its tables, the rows they begin with, and what each group of them does, and how."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import psycopg

from demo.clients.actor import Actor
from demo.clients.adoption import Adoption
from demo.clients.kind import A, Kind
from demo.clients.model import Model
from demo.clients.names import AS_WRITTEN, Names
from demo.clients.styles.session import Style
from demo.clients.tables import Tables

Made = TypeVar("Made", bound=Actor[Any], covariant=True)


@dataclass(frozen=True, kw_only=True)
class Group(Generic[A]):
    """Clients that are deployed together. is_ready: whether the database has what they need; None: from the first."""

    name: str
    style: Style
    kinds: Mapping[str, Kind[A]]
    is_ready: Callable[[psycopg.Connection], bool] | None = None


class MakeActor(Protocol[Made]):
    """How an actor comes to be; the class itself, as a rule."""

    def __call__(self, *, name: str, adoption: Adoption[Any], rng: random.Random) -> Made: ...


def _as_written(_connection: psycopg.Connection) -> Names:
    return AS_WRITTEN


@dataclass(frozen=True, kw_only=True)
class Workload(Generic[A]):
    """`name` is the data set's. adopt: gives each model its rows, while none other writes, and raises NothingThere;
    names_now: what the tables are called in the database as it is."""

    name: str
    tables: Tables
    groups: Sequence[Group[A]]
    adopt: Callable[[psycopg.Connection, Sequence[Model], random.Random], Adoption[Any]]
    actor: MakeActor[A]
    names_now: Callable[[psycopg.Connection], Names] = _as_written
