"""While a CHECK proves that the DEFAULT partition holds no row of a range, partitions are attached over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from sql.partitions import partition_proof
from sql.partitions.partition_upkeep import Partition, RangeColumn
from sql.session.connection import Connection
from sql.session.passing_errors import LOCK_MISSED


@contextmanager
def proved_outside(
    connection: Connection,
    rest: Partition | None,
    column: RangeColumn,
    limits: tuple[str, str],
    *,
    short_locks: Callable[[], None],
    patiently: Callable[[str, Callable[[], None]], None],
) -> Iterator[bool]:
    """Gives whether there is a proof; without `rest` none is asked for. The inside takes the CHECK away itself.

    The CHECK refuses the application's rows of the range, so it goes whatever happens: `patiently(what, work)` does
    that work again and again. Raises psycopg.DatabaseError where rows or others are in the way; nothing is left then.
    """
    if rest is None:
        yield False
        return
    with connection.transaction():
        short_locks()
        partition_proof.promise_outside(connection, rest, column, limits)

    def withdraw() -> None:
        with connection.transaction():
            short_locks()
            partition_proof.withdraw(connection, rest)

    try:
        partition_proof.prove_outside(connection, rest)
        yield True
    except psycopg.DatabaseError as error:
        patiently(f"ALTER TABLE {rest.full_name} DROP CONSTRAINT {partition_proof.NAME}", withdraw)
        if isinstance(error, LOCK_MISSED):
            raise psycopg.DatabaseError(
                "could not lock the table after the check: other sessions hold it. Run the command again"
            ) from None
        raise
