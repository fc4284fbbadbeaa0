"""Which rows of the market that are there already belong to which client, and which to all of them.

Each client adopts some users with everything below them, so that old rows are changed, re-keyed and
deleted too; a rebuild treats those otherwise than rows that are new.
"""

import random
from collections.abc import Sequence

import psycopg

from demo.clients.adoption import Adoption, NothingThere, Reader
from demo.clients.model import Model
from demo.clients.names import AS_WRITTEN
from demo.clients.tables import Key, Row
from demo.datasets.market.workload.actor import Shared
from demo.datasets.market.workload.tables import MARKET

_USERS_PER_CLIENT = 12
_SHARED_ROWS = 40


def adopt(connection: psycopg.Connection, models: Sequence[Model], rng: random.Random) -> Adoption[Shared]:
    """Give each model its rows; read the shared rows' counters. No other client may write meanwhile.

    Raises NothingThere when there is nothing to adopt.
    """
    reader = Reader(connection, MARKET, AS_WRITTEN)

    def probe(table: str, wanted: int) -> tuple[str, ...]:
        return reader.probe(MARKET[table], "id", wanted, rng)

    users = probe("User", len(models) * _USERS_PER_CLIENT + _SHARED_ROWS)
    counted = users[: min(_SHARED_ROWS, len(users) // 2)]
    shared = Shared(
        tenants=probe("tenants", _SHARED_ROWS),
        products=probe("products", 4 * _SHARED_ROWS),
        users=counted,
        tags=probe("Tag", _SHARED_ROWS),
    )
    if not (shared.tenants and shared.products and shared.users and shared.tags):
        raise NothingThere("the application needs the sample market, filled: run create_market first")
    for number, user in enumerate(users[len(counted) :]):
        model = models[number % len(models)]
        for row in reader.rows(MARKET["User"], ("id",), (user,)):
            _adopt_below(reader, model, "User", row)
        model.commit()
    counters = (
        ("products", "stock", shared.products),
        ("products", "sold", shared.products),
        ("User", "loginCount", shared.users),
    )
    return Adoption(shared=shared, beginning=reader.begin(models, counters))


def _adopt_below(reader: Reader, model: Model, table: str, row: Row) -> None:
    """Put the row and all its children, theirs too, into the model."""
    key: Key = model.put(table, row)
    for reference in MARKET.references_to[table]:
        for child in reader.rows(MARKET[reference.child], reference.columns, key):
            _adopt_below(reader, model, reference.child, child)
