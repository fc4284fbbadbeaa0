"""The level of a transaction whose locks are granted: it has to see what was committed until then."""

from __future__ import annotations

from psycopg.sql import SQL

from replank.errors import NeedsOperator
from sql.session.connection import Connection, value

NOT_READ_COMMITTED = SQL("current_setting('transaction_isolation') <> 'read committed'")

WORDS = (
    "This transaction is not READ COMMITTED: its snapshot may be older than its locks, and what was committed in "
    "between would be lost. Nothing was swapped."
)


def set_read_committed(connection: Connection) -> None:
    """As the first statement of a swap's transaction."""
    connection.execute("SET TRANSACTION ISOLATION LEVEL read committed")


def require_read_committed(connection: Connection) -> None:
    """Under the locks of a swap, before its last drain. Raises NeedsOperator where the level is another one."""
    if value(connection, SQL("SELECT {}").format(NOT_READ_COMMITTED)):
        raise NeedsOperator(f"{WORDS} Please report this with `replank status --json`.")
