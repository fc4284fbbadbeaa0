"""Telling others what a run prepares, from its first moment until the ledger can say it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from monitoring.status.preparation_record import PreparationRecord
from replank.activity import listening
from sql.ledger.runs.preparation import Announcement

FIRST = "looking for the ledger"


@contextmanager
def announced_preparation(url: str, identity: str, *, plan: str) -> Iterator[None]:
    """What is done in this block is announced to other sessions of the database, and kept in case this process dies."""
    record = PreparationRecord(identity, plan=plan)
    try:
        record.tell(FIRST)
        announcement = Announcement(url, FIRST)
        try:
            with listening(announcement.update), listening(record.tell):
                yield
        finally:
            announcement.close()
    finally:
        record.close()
