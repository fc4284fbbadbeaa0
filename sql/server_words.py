"""What the server says of an error, whole: its hint often names the setting that is in the way."""

from __future__ import annotations

import psycopg
from psycopg import errors

OF_SERVER = (errors.OutOfMemory, errors.DiskFull, errors.ConfigurationLimitExceeded)
"""A setting or the machine is in the way, no row."""


def server_words(error: psycopg.Error) -> str:
    """Message, detail and hint on one line."""
    said = error.diag.message_primary or str(error).strip()
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    hint = f". {error.diag.message_hint}" if error.diag.message_hint else ""
    return f"{said}{detail}{hint}".rstrip(".")
