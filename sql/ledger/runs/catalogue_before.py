"""What the catalogue said of a run's relations when the run began."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from psycopg.types.json import Jsonb
from sqlalchemy import select

from sql.catalogue.catalogue_snapshot import CatalogueObject
from sql.ledger.schema.fact_tables import CATALOGUE_BEFORE
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Query, given

_KEEP = Command("catalogue_before.keep")
_COLUMNS = (
    CATALOGUE_BEFORE.c.relation,
    CATALOGUE_BEFORE.c.what,
    CATALOGUE_BEFORE.c.name,
    CATALOGUE_BEFORE.c.definition,
)
_KEPT = Query(
    select(*_COLUMNS)
    .where(CATALOGUE_BEFORE.c.run_id == given("run_id"))
    .order_by(CATALOGUE_BEFORE.c.relation, CATALOGUE_BEFORE.c.what, CATALOGUE_BEFORE.c.name),
    CatalogueObject,
)


def keep(connection: Connection, run_id: int, objects: Iterable[CatalogueObject]) -> None:
    """At the run's beginning: what there is, in one statement."""
    _KEEP(connection, run_id=run_id, objects=Jsonb([asdict(found) for found in objects]))


def read_catalogue_before(connection: Connection, run_id: int) -> list[CatalogueObject]:
    """What there was when the run began."""
    return _KEPT.all(connection, run_id=run_id)
