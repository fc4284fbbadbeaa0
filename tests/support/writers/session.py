"""How every session of the clients, and of whoever judges them, speaks with the server."""

import re

import psycopg

SESSION_OPTIONS = (
    "-c datestyle=ISO -c timezone=UTC -c intervalstyle=postgres -c extra_float_digits=1 -c bytea_output=hex"
    " -c application_name=journal-writers"
)
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def connect(url: str) -> psycopg.Connection:
    """Unprepared statements and untyped text parameters: a column may change its type between two writes."""
    return psycopg.connect(url, prepare_threshold=None, options=SESSION_OPTIONS, connect_timeout=10)
