"""Sessions of commands that go by a plan: they act as the owner of its tables, from the first one on."""

from __future__ import annotations

from collections.abc import Mapping

from replank.plan.plan import Plan
from replank.settings import Settings
from sql.access.roles import act_as_owner
from sql.session.connection import Connection, connect


def connect_for_plan(
    settings: Settings, plan: Plan, *, name: str, session: Mapping[str, str] | None = None
) -> Connection:
    """A session in the role that owns the plan's tables, where the login is a member of it (`sql/access/roles.py`)."""
    connection = connect(settings.database(), name=name, settings=session)
    try:
        act_as_owner(connection, [(table.table_schema, table.name) for table in plan.tables])
    except BaseException:
        connection.close()
        raise
    return connection
