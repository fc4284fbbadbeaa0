"""Errors an operator understands: wrong use, try again, needs the operator, outcome unknown.

Each message says what happened, to what, and what to do next.
"""

from __future__ import annotations


class ReplankError(Exception):
    """Something Replank can name. `exit_code` is what the command line returns for it."""

    exit_code = 1
    usual_hint = "See `replank status`, then run the same command again."

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        self._hint = hint

    @property
    def hint(self) -> str:
        """What to do next, where the message does not say it better."""
        return self._hint or self.usual_hint

    @property
    def has_own_hint(self) -> bool:
        return bool(self._hint)


class WrongUse(ReplankError):
    """The command, the plan or a URL is not usable as given; nothing was changed."""

    exit_code = 2
    usual_hint = "Nothing was changed. Correct the command, the plan or the URL."


class CannotConnect(WrongUse):
    """The database does not take the connection: wrong URL, wrong password, or not running."""


class NoServer(CannotConnect):
    """There is no server at that place, or no way to it."""

    exit_code = 3
    usual_hint = "Check that the server runs and that the URL is right, then run the same command again."


class NotAnswering(NoServer):
    """No server accepts the connection now: it restarts, or there is none at this address."""


class TryAgain(ReplankError):
    """A passing condition (a lock, a lost connection): the same work may simply be done again."""

    usual_hint = "Run the same command again."


class NotProved(TryAgain):
    """What was compared need not be so any more: it is compared again before anything changes places."""


class NeedsOperator(ReplankError):
    """Replank stops here until the operator decides; everything done so far is kept."""


class MayNot(WrongUse):
    """The database role lacks a right; the hint has the GRANT. Nothing was changed."""

    def __init__(self, message: str, *, hint: str, login: str) -> None:
        super().__init__(message, hint=hint)
        self.login = login


class OtherVersion(WrongUse):
    """The ledger was made by an older or a newer version of Replank. Nothing was changed."""


class OutcomeUnknown(ReplankError):
    """A COMMIT was sent and its answer lost: read the ledger before doing anything again."""


class TableRewritten(ReplankError):
    """The table's file is not the one its blocks were cut from (VACUUM FULL, CLUSTER, TRUNCATE).

    The copy of that table starts again with new chunks.
    """


class RewrittenMeanwhile(TryAgain):
    """A table was rewritten between a transaction's snapshot and its first look at it: it would seem to be empty."""


class LeaseLost(ReplankError):
    """Another attempt owns the job now, or it is finished: this delivery changes nothing."""
