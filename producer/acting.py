"""Sessions of commands that go by a plan: they act as the owner of its tables, from the first one on."""

from __future__ import annotations

from collections.abc import Mapping

from replank.plan import Plan
from replank.settings import Settings
from sql.connection import Connection, connect
from sql.roles import act_as_owner


def connect_for_plan(
    settings: Settings, plan: Plan, *, name: str, session: Mapping[str, str] | None = None
) -> Connection:
    """A session in the role that owns the plan's tables, where the login is a member of it (`sql/roles.py`)."""
    connection = connect(settings.database(), name=name, settings=session)
    try:
        act_as_owner(connection, [(table.table_schema, table.name) for table in plan.tables])
    except BaseException:
        connection.close()
        raise
    return connection
