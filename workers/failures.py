"""What an error means: again, or a person. Classified by SQLSTATE, never by the message's words.

SQLSTATE classes: PostgreSQL manual, appendix A.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import psycopg

from replank.errors import NeedsPerson, TableRewritten, TryAgain
from sql.ledger.jobs import Failure

PASSING = {
    "40001": "serialization",
    "40P01": "deadlock",
    "55P03": "lock timeout",
    "55006": "object in use",
    "57014": "timeout",
    "57P01": "shutdown",
    "57P02": "crash",
    "57P03": "starting up",
    "57P05": "idle timeout",
    "25P03": "idle timeout",
    "53200": "out of memory",
    "53300": "too many connections",
}

LASTING = {
    "22P02": "value does not convert",
    "23505": "values collide",
    "23514": "check violated",
    "23502": "null where none may be",
    "23503": "orphan",
    "42P01": "table is gone",
    "42703": "column is gone",
    "42501": "no privilege",
    "53100": "disk full",
}

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`again`: the same job may simply be tried again. `rewritten`: its chunk no longer exists."""

    again: bool
    rewritten: bool
    failure: Failure


def judge(error: Exception) -> Verdict | None:
    """What to do about an error; None if it is not one that Replank knows: then it must be seen."""
    if isinstance(error, TableRewritten):
        return _verdict("rewritten", "", str(error), again=False, rewritten=True)
    if isinstance(error, TryAgain):
        return _verdict("not yet", "", str(error), again=True)
    if isinstance(error, NeedsPerson):
        return _verdict("needs a person", "", str(error), again=False)
    if isinstance(error, psycopg.Error):
        return _of_database(error)
    return None


def _of_database(error: psycopg.Error) -> Verdict:
    state = error.sqlstate or ""
    words = error.diag.message_primary or str(error).strip()
    if error.diag.message_detail:
        words = f"{words} ({error.diag.message_detail})"
    if state in PASSING:
        return _verdict(PASSING[state], state, words, again=True)
    if state.startswith("08") or (not state and isinstance(error, psycopg.OperationalError)):
        return _verdict("connection lost", state, words, again=True)
    return _verdict(LASTING.get(state, "database error"), state, words, again=False)


def _verdict(name: str, state: str, message: str, *, again: bool, rewritten: bool = False) -> Verdict:
    failure = Failure(error_class=name, sqlstate=state, message=message[:2_000])
    return Verdict(again=again, rewritten=rewritten, failure=failure)


def delay_s(attempt: int, random_source: random.Random) -> float:
    """How long the `attempt`-th failure waits: doubling from 0.2 s to 30 s, with full jitter."""
    ceiling: float = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** (attempt - 1))
    return FIRST_DELAY_S / 2 + random_source.uniform(0, ceiling)
