"""For `env.py` of an application whose database Replank has rebuilt: what Alembic need not compare.

    context.configure(connection=connection, target_metadata=metadata, include_name=include_name(connection), …)

Neither SQLAlchemy nor Alembic is imported: whoever calls has both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

OF_RUNS = re.compile(r"replank(_(next|past)(_.*)?)?\Z", re.DOTALL)
"""The ledger, and the schemas of next and past tables."""

OF_STEPS = ("audit", "permission")
"""What a plan calls the schemas of its steps 03 and 04, if it says nothing else."""

PARTITIONS = (
    "SELECT n.nspname, c.relname, n.nspname = current_schema() FROM pg_catalog.pg_class AS c"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relispartition AND c.relkind IN ('r', 'p')"
)


def include_name(
    connection: Any, *, own_schemas: Collection[str] = OF_STEPS
) -> Callable[[str | None, str, Mapping[Any, str | None]], bool]:
    """Alembic's `include_name`: leaves out every partition, and the schemas that are Replank's.

    `connection` is the one that `context.configure` gets. `own_schemas` are those of the plan's steps 03 and 04, where
    the plan has them and `include_schemas` is on.
    """
    partitions: set[tuple[str | None, str]] = set()
    asked = False

    def included(name: str | None, type_: str, parent_names: Mapping[Any, str | None]) -> bool:
        nonlocal asked
        if type_ == "schema":
            return name is None or not (OF_RUNS.match(name) or name in own_schemas)
        if type_ != "table" or name is None:
            return True
        # Asked when Alembic compares, not before: a transaction that is open already Alembic would not commit.
        if not asked:
            for schema, table, is_default in connection.exec_driver_sql(PARTITIONS):
                partitions.add((schema, table))
                if is_default:
                    partitions.add((None, table))
            asked = True
        return (parent_names.get("schema_name"), name) not in partitions

    return included
