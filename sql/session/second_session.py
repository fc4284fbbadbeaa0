"""A second session beside the one that waits for a lock: it watches, and drains while the first keeps writers out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import make_conninfo

from replank.errors import CannotConnect, TryAgain
from sql.session.connection import Connection, connect, keep_plans, present_settings


@contextmanager
def second_session(first: Connection) -> Iterator[Connection]:
    """The same database, role and patience with locks. Raises TryAgain where it cannot be had, or is lost."""
    info = first.info
    conninfo = make_conninfo("", **{**info.get_parameters(), "password": info.password or None})
    try:
        second = connect(conninfo, name="cutover", settings=present_settings(first, ["lock_timeout"]))
    except CannotConnect as error:
        raise TryAgain(f"the cutover needs a second session: {error}") from None
    with second:
        keep_plans(second)
        try:
            yield second
        except psycopg.OperationalError as error:
            if second.closed and not first.closed:
                raise TryAgain(f"the cutover's second session was ended: {error}") from None
            raise
