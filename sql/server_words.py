"""What the server says of an error, whole: its hint often names the setting that is in the way."""

from __future__ import annotations

import psycopg
from psycopg import errors

OF_SERVER = (errors.OutOfMemory, errors.DiskFull, errors.ConfigurationLimitExceeded)
"""A setting or the machine is in the way, no row."""

LOCKS_SETTING = "max_locks_per_transaction"
LOCKS_REMEDY = (
    f"ALTER SYSTEM SET {LOCKS_SETTING} to more and restart the server, or end the session that holds so many locks: "
    "count pg_locks by pid"
)


def server_words(error: psycopg.Error) -> str:
    """Message, detail and hint on one line."""
    said = error.diag.message_primary or str(error).strip()
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    hint = f". {error.diag.message_hint}" if error.diag.message_hint else ""
    more = f" ({LOCKS_REMEDY})" if out_of_locks(error) else ""
    return f"{said}{detail}{hint.rstrip('.')}{more}".rstrip(".")


def out_of_locks(error: psycopg.Error) -> bool:
    """Whether it is the room for locks that is used up, and not memory: both have SQLSTATE 53200.

    The hint names the setting, whatever language it is in.
    """
    return isinstance(error, errors.OutOfMemory) and LOCKS_SETTING in (error.diag.message_hint or "")
