"""What Alembic asks for: the ledger's description, and the connection that was handed in. Nothing is begun or ended."""

from __future__ import annotations

import re

from alembic import context

from sql.ledger.schema import fact_tables, job_tables  # noqa: F401  (the whole description)
from sql.ledger.schema.columns import LEDGER

OF_A_RUN = re.compile(r"(_\d+){2,}$")
"""The end of the names of a run's own tables: its number, and a table's. They are in the ledger's schema too."""


def is_described(name: str | None, kind: str, _: object) -> bool:
    """Whether the description is to be compared with it."""
    if kind == "schema":
        return name == LEDGER.schema
    return kind != "table" or name is None or OF_A_RUN.search(name) is None


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=LEDGER,
    version_table_schema=LEDGER.schema,
    include_schemas=True,
    include_name=is_described,
    compare_type=True,
    compare_server_default=True,
)
context.run_migrations()
