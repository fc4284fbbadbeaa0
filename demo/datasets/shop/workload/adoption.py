"""Which rows of the shop that are there already belong to which client, and which to all of them.

Each client adopts some customers with their orders, so that old rows are changed and deleted too; a rebuild treats
those otherwise than rows that are new.
"""

import random
from collections.abc import Sequence

import psycopg

from demo.clients.adoption import Adoption, NothingThere, Reader
from demo.clients.model import Model
from demo.clients.names import AS_WRITTEN
from demo.clients.tables import Row
from demo.datasets.shop.workload.actor import Shared
from demo.datasets.shop.workload.tables import SHOP

_CUSTOMERS_PER_CLIENT = 8
_SHARED_ROWS = 40


def adopt(connection: psycopg.Connection, models: Sequence[Model], rng: random.Random) -> Adoption[Shared]:
    """Give each model its rows; read the shared rows' counters. No other client may write meanwhile.

    Raises NothingThere when there is nothing to adopt.
    """
    reader = Reader(connection, SHOP, AS_WRITTEN)

    def probe(table: str, wanted: int = _SHARED_ROWS) -> tuple[str, ...]:
        return reader.probe(SHOP[table], "id", wanted, rng)

    shared = Shared(
        tenants=probe("tenants"),
        addresses=probe("addresses"),
        products=probe("products"),
        tags=probe("tags"),
        carriers=probe("carriers"),
    )
    if not all((shared.tenants, shared.addresses, shared.products, shared.tags, shared.carriers)):
        raise NothingThere("the application needs the shop, filled: run create_shop first")
    for number, customer in enumerate(probe("customers", len(models) * _CUSTOMERS_PER_CLIENT)):
        model = models[number % len(models)]
        for row in reader.rows(SHOP["customers"], ("id",), (customer,)):
            _adopt_below(reader, model, "customers", row)
        model.commit()
    counters = (("products", "stock", shared.products),)
    return Adoption(shared=shared, beginning=reader.begin(models, counters))


def _adopt_below(reader: Reader, model: Model, table: str, row: Row) -> None:
    """Put the row and all its children, theirs too, into the model."""
    key = model.put(table, row)
    for reference in SHOP.references_to[table]:
        for child in reader.rows(SHOP[reference.child], reference.columns, key):
            _adopt_below(reader, model, reference.child, child)
