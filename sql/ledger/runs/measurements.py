"""What was measured of a run's database, before and after, in the ledger."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from replank.values.measurement import Measurement, Moment
from sql.session.connection import Connection, rows
from sql.session.named_queries import query


def keep(connection: Connection, run_id: int, moment: Moment, found: Measurement) -> None:
    """Write a measurement; one of the same moment is replaced."""
    named = {"run_id": run_id, "moment": moment, "document": Jsonb(found.to_json())}
    connection.execute(query("measurements.keep"), named)


def read_measurements(connection: Connection, run_id: int) -> dict[Moment, Measurement]:
    """What is known of each moment; a moment that has not come is not there."""
    found = rows(connection, query("measurements.all"), {"run_id": run_id})
    return {r["moment"]: Measurement.from_json(r["document"]) for r in found}
