"""What the server says of an error, whole: its detail names the object, its hint often the setting in the way."""

from __future__ import annotations

import psycopg
from psycopg import errors

LOCKS_SETTING = "max_locks_per_transaction"
LOCKS_REMEDY = (
    f"ALTER SYSTEM SET {LOCKS_SETTING} to more and restart the server, or end the session that holds so many locks: "
    "count pg_locks by pid"
)


def server_words(error: psycopg.Error) -> str:
    """Message, detail and hint on one line. The detail may quote a row: for the ledger, where the operator needs it."""
    return _joined(error, error.diag.message_detail, hint=True)


def without_rows(error: psycopg.Error, *, hint: bool = False) -> str:
    """The same for reports that are handed on, and the objects that it names.

    The detail of an integrity violation quotes a row (`Key (mail)=(…) already exists`, `Failing row contains …`): it is
    left out, and constraint, table and column are named instead. Other details speak of definitions.
    """
    broken = isinstance(error, errors.IntegrityError)
    return _joined(error, None if broken else error.diag.message_detail, hint=hint)


def out_of_locks(error: psycopg.Error) -> bool:
    """Whether it is the room for locks that is used up, and not memory: both have SQLSTATE 53200.

    The hint names the setting, whatever language it is in.
    """
    return isinstance(error, errors.OutOfMemory) and LOCKS_SETTING in (error.diag.message_hint or "")


def _joined(error: psycopg.Error, detail: str | None, *, hint: bool) -> str:
    said = (error.diag.message_primary or str(error)).strip()
    if names := [name for name in _names(error) if name not in said]:
        said += f" [{', '.join(names)}]"
    if detail:
        said += f" ({detail})"
    if hint and error.diag.message_hint:
        said += f". {error.diag.message_hint}"
    if out_of_locks(error):
        said = f"{said.rstrip('.')} ({LOCKS_REMEDY})"
    return said.rstrip(".")


def _names(error: psycopg.Error) -> list[str]:
    diag = error.diag
    named = (("table", diag.table_name), ("column", diag.column_name), ("constraint", diag.constraint_name))
    return [f"{what} {name}" for what, name in named if name and name not in (diag.message_primary or "")]
