"""What an error means for a job: again, smaller, or the operator. Classified by SQLSTATE, never by its words."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from replank.errors import ReplankError, TableRewritten, TryAgain
from replank.sqlstates import Cause, Remedy, meaning_of
from sql.ledger.jobs.claims import Failure
from sql.session.server_message import out_of_locks, server_words

TRIES_WHOLE = 2
"""So often a chunk is tried as it is, where it may be too large; after that it is halved."""


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
    return _verdict("needs the operator", "", str(error), again=False)


def _of_database(error: psycopg.Error) -> Verdict:
    state = error.sqlstate or ""
    words = error.diag.message_primary or str(error).strip()
    if error.diag.message_detail:
        words = f"{words} ({error.diag.message_detail})"
    if out_of_locks(error):
        # A smaller chunk takes as many: it is the tables and indexes that count.
        return _verdict("out of locks", state, server_words(error), again=True)
    meant = meaning_of(error)
    return _verdict(
        meant.name,
        state,
        words,
        again=meant.remedy is not Remedy.FAIL,
        smaller=meant.smaller,
        stopped=meant.cause is Cause.ENDED,
    )


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
