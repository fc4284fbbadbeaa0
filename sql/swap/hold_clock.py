"""How long the locks of a swap may be held: one clock over all its statements."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import psycopg
from psycopg.sql import SQL, Composable, Literal

from replank.errors import TryAgain
from sql.session.connection import Connection, apply_settings

FIRST_WITH_TRANSACTION_TIMEOUT = 170000
GRACE_MS = 500
"""So much later the server ends the session by itself: only where no statement ran into its own limit."""


@dataclass(frozen=True, kw_only=True)
class HoldClock:
    """Began when the locks were granted; `check` it between statements.

    statement_timeout alone counts for each statement again: many short ones would hold the locks as long as they like.
    """

    connection: Connection
    budget_ms: int
    started: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """From now on the server lets go of the locks even if this process stands still."""
        limits = {"idle_in_transaction_session_timeout": f"{self.budget_ms}ms"}
        if self.connection.info.server_version >= FIRST_WITH_TRANSACTION_TIMEOUT:
            # A timer that runs already is not set again by another value: off and on.
            apply_settings(self.connection, {"transaction_timeout": "0"}, local=True)
            limits["transaction_timeout"] = f"{self.budget_ms + GRACE_MS}ms"
        apply_settings(self.connection, limits, local=True)
        self.check()

    def check(self) -> None:
        """The next statement may take what is left. Raises TryAgain if that is nothing."""
        left_ms = self.budget_ms - (time.monotonic() - self.started) * 1000
        if left_ms < 1:
            raise TryAgain(f"the work under the lock took too long: {self.words()}")
        apply_settings(self.connection, {"statement_timeout": f"{int(left_ms)}ms"}, local=True)

    def overrun(self, error: psycopg.Error) -> str:
        """What a limit of the server's that ended a statement under the lock means."""
        return f"the work under the lock took too long ({error.diag.message_primary}): {self.words()}"

    def words(self) -> str:
        """What an overrun means to the operator."""
        return (
            f"cutover_hold_budget_ms is {self.budget_ms}, and it was rolled back. If this happens again, look for a "
            "slow event trigger, or raise that option in the plan"
        )


def one_statement(script: Composable) -> Composable:
    """A script as one statement, so that statement_timeout bounds all of it."""
    body = SQL("BEGIN EXECUTE {}; END").format(Literal(script.as_string(None)))
    return SQL("DO {}").format(Literal(body.as_string(None)))
