"""Views of the ledger that statements select from. They are made by revisions, not from this description."""

from __future__ import annotations

from sqlalchemy import Boolean, Integer, column, table

from sql.ledger.schema.run_tables import RUN

RUN_IN_FORCE = table(
    "run_in_force",
    *(column(each.name, each.type) for each in RUN.columns),
    column("paused", Boolean),
    column("window_limit", Integer),
    schema=RUN.schema,
)
"""A run with what is in force for the whole of it: whether it is paused, and a throttle's jobs at once."""
