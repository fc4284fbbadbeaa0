"""What an error means: again, smaller, or a person. Classified by SQLSTATE, never by the message's words.

SQLSTATE classes: PostgreSQL manual, appendix A.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import psycopg

from replank.errors import ReplankError, TableRewritten, TryAgain
from sql.ledger.jobs.claims import Failure
from sql.session.server_message import out_of_locks, server_words

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

TOO_MUCH = ("57014", "53200")
"""Passing, and yet more of the same where the chunk is too large: after `TRIES_WHOLE` it is halved."""

TRIES_WHOLE = 2

STOPPED = ("57P01", "57P02", "57P03")
"""The session was ended from outside: it says nothing about the job, so it costs no attempt."""

LASTING = {
    "22P02": "value does not convert",
    "23505": "values collide",
    "23514": "check violated",
    "23502": "null where none may be",
    "23503": "orphan",
    "23P01": "exclusion violated",
    "P0001": "refused by a trigger or function",
    "42P01": "table is gone",
    "42703": "column is gone",
    "42501": "no privilege",
    "53100": "disk full",
}

OF_ROWS = {
    "21": "more than one value",
    "22": "data error",
    "23": "constraint violated",
    "38": "function failed",
    "39": "function failed",
    "44": "check option violated",
    "54": "too large",
    "P0": "refused by a trigger or function",
    "XX001": "data corrupted",
    "XX002": "index corrupted",
}
"""Classes of errors that some row of a chunk makes: all others of it can be done without that one."""

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`again`: the same job may simply be tried again. `smaller`: the halves of its range may do better.

    Both: at first again, then smaller. `rewritten`: its chunk no longer exists. `stopped`: it costs no attempt.
    """

    again: bool
    smaller: bool
    rewritten: bool
    stopped: bool
    failure: Failure


def judge(error: psycopg.Error | ReplankError) -> Verdict:
    """What to do about an error of the driver's or of Replank's own. Any other one is a bug, and has no verdict."""
    if isinstance(error, TableRewritten):
        return _verdict("rewritten", "", str(error), again=False, rewritten=True)
    if isinstance(error, TryAgain):
        return _verdict("not yet", "", str(error), again=True)
    if isinstance(error, psycopg.Error):
        return _of_database(error)
    return _verdict("needs a person", "", str(error), again=False)


def _of_database(error: psycopg.Error) -> Verdict:
    state = error.sqlstate or ""
    words = error.diag.message_primary or str(error).strip()
    if error.diag.message_detail:
        words = f"{words} ({error.diag.message_detail})"
    if out_of_locks(error):
        # A smaller chunk takes as many: it is the tables and indexes that count.
        return _verdict("out of locks", state, server_words(error), again=True)
    if state in PASSING:
        return _verdict(PASSING[state], state, words, again=True, smaller=state in TOO_MUCH, stopped=state in STOPPED)
    if state.startswith("08") or (not state and isinstance(error, psycopg.OperationalError)):
        return _verdict("connection lost", state, words, again=True)
    of_row = next((name for start, name in OF_ROWS.items() if state.startswith(start)), None)
    name = LASTING.get(state, of_row or "database error")
    # What nobody knows may well be one row's: a function may raise whatever it likes.
    return _verdict(name, state, words, again=False, smaller=of_row is not None or state not in LASTING)


def _verdict(
    name: str,
    state: str,
    message: str,
    *,
    again: bool,
    smaller: bool = False,
    rewritten: bool = False,
    stopped: bool = False,
) -> Verdict:
    failure = Failure(error_class=name, sqlstate=state, message=message[:2_000])
    return Verdict(again=again, smaller=smaller, rewritten=rewritten, stopped=stopped, failure=failure)


def delay_s(attempt: int, random_source: random.Random) -> float:
    """How long the `attempt`-th failure waits: doubling from 0.2 s to 30 s, with full jitter."""
    ceiling: float = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** (attempt - 1))
    return FIRST_DELAY_S / 2 + random_source.uniform(0, ceiling)
