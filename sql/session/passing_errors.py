"""The driver's classes of errors that pass by themselves, for `except`: taken from the table of SQLSTATEs.

Code that catches one of these classes alone means something else by it, e.g. the timeout that it has set itself.
"""

from __future__ import annotations

import re

import psycopg
from psycopg import errors

from replank.sqlstates import Cause, states_of


def _classes(*causes: Cause) -> tuple[type[psycopg.Error], ...]:
    return tuple(errors.lookup(state) for state in states_of(*causes))


LOCK_MISSED = _classes(Cause.LOCK)
"""Other sessions held what the statement asked for: the same again, soon."""

LOCK_OR_TIME_MISSED = _classes(Cause.LOCK, Cause.TIME)
"""So they did, or waiting for them took all the time that the statement had."""

PASSING = _classes(Cause.LOCK, Cause.TIME, Cause.CONCURRENT)
"""A whole transaction that others were in the way of: the same again, later."""

OF_SERVER = _classes(Cause.SERVER, Cause.MEMORY)
"""A setting or the machine is in the way, no row and no session."""

OF_ROWS = (errors.DataError, errors.IntegrityError)
"""Some row is in the way: the same again fails again, until the operator has corrected it."""

WHEN_LOCK_MISSED = " OR ".join(re.sub(r"(?<!^)(?=[A-Z])", "_", each.__name__).lower() for each in LOCK_MISSED)
"""`LOCK_MISSED` as a condition in PL/pgSQL."""
