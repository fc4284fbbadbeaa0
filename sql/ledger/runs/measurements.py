"""What was measured of a run's database, before and after, in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from psycopg.types.json import Jsonb
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from replank.values.measurement import Measurement, Moment
from sql.ledger.schema.fact_tables import MEASUREMENT
from sql.session.connection import Connection
from sql.session.typed_queries import Command, Document, Query, given


@dataclass(frozen=True, kw_only=True)
class _Kept:
    moment: Moment
    document: Annotated[Measurement, Document(Measurement.from_json)]


_M = MEASUREMENT.c
_NEW = insert(MEASUREMENT).values(run_id=given("run_id"), moment=given("moment"), document=given("document"))
_KEEP = Command(
    _NEW.on_conflict_do_update(index_elements=["run_id", "moment"], set_={"document": _NEW.excluded.document})
)
_ALL = Query(select(_M.moment, _M.document).where(_M.run_id == given("run_id")), _Kept)


def keep(connection: Connection, run_id: int, moment: Moment, found: Measurement) -> None:
    """Write a measurement; one of the same moment is replaced."""
    _KEEP(connection, run_id=run_id, moment=moment, document=Jsonb(found.to_json()))


def read_measurements(connection: Connection, run_id: int) -> dict[Moment, Measurement]:
    """What is known of each moment; a moment that has not come is not there."""
    return {kept.moment: kept.document for kept in _ALL.all(connection, run_id=run_id)}
