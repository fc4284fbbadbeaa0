"""Other sessions in messages: their pid, role and age, from `pg_stat_activity`."""

from __future__ import annotations


def session_words(pid: int, *, application: str, role: str, state: str, seconds: float, more: str = "") -> str:
    """`pid 17 (nightly import, role anna, idle, transaction open 4.0 s)`; a `pid` of 0 is a prepared transaction."""
    if pid == 0:
        return "a prepared transaction (`SELECT * FROM pg_prepared_xacts` shows it)"
    named = [application or "no name", f"role {role}" if role else "", state, f"transaction open {seconds:.1f} s", more]
    return f"pid {pid} ({', '.join(filter(None, named))})"
