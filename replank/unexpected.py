"""Errors that no command expects: one sentence for the operator, and a file with the rest for a report."""

from __future__ import annotations

import os
import tempfile
import traceback
from typing import Any

BUG = 70
"""EX_SOFTWARE of sysexits.h."""


def exit_code_of(error: Exception) -> int:
    """1 where the database refused, so that the operator can see to it; else `BUG`."""
    return 1 if _of_database(error) is not None else BUG


def unexpected(error: Exception) -> str:
    """What is printed. The file that it names has the traceback; it may hold values of rows."""
    path = _write(error)
    said = _of_database(error)
    if said is not None:
        return (
            f"PostgreSQL: {said}. What was done is kept: correct that, then run the same command again. Where it "
            f"cannot be corrected, report it with {path}."
        )
    return f"This is a bug of Replank ({type(error).__name__}). The ledger has what was done. Report it with {path}."


def _of_database(error: Exception) -> str | None:
    """The server's own words; None for an error that is none of the driver's. This package knows no driver."""
    diagnosis: Any = getattr(error, "diag", None)
    if diagnosis is None:
        return None
    said = str(diagnosis.message_primary or error).strip().splitlines() or [type(error).__name__]
    more = [text for text in (diagnosis.message_detail, diagnosis.message_hint) if text]
    state = f" (SQLSTATE {diagnosis.sqlstate})" if diagnosis.sqlstate else ""
    return ". ".join([f"{said[0].rstrip('.')}{state}", *(text.rstrip(".") for text in more)])


def _write(error: Exception) -> str:
    handle, path = tempfile.mkstemp(prefix="replank-error-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(error)))
    return path
