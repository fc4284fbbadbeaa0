"""What steps make and a report reads is given to the roles of `[access] readers`, as soon as it is there."""

from __future__ import annotations

from replank.plan.plan import Plan
from sql.access.readers import let_read_view
from sql.session.connection import Connection


def let_read_steps(connection: Connection, plan: Plan) -> None:
    """The permission cache's counters: hours, hits and misses. Rows that the audit log holds are not given."""
    cache = plan.steps.permission_cache
    if cache is not None:
        let_read_view(connection, cache.table_schema, "metrics", plan.access.readers)
