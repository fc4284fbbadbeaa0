"""Tables of a run that the breaker may have to pause: those that are over a limit, and that are not paused."""

from __future__ import annotations

from dataclasses import dataclass

from replank.values.states import JobKind
from sql.session.connection import Connection
from sql.session.typed_queries import Query


@dataclass(frozen=True, kw_only=True)
class EqualErrors:
    """A table whose latest attempts ended with one and the same error; `message` is the newest one's."""

    table_no: int
    name: str
    errors: int
    error_class: str
    sqlstate: str
    message: str


@dataclass(frozen=True, kw_only=True)
class FailedShare:
    """A table and a kind of its jobs: how many ended, and how many of them failed."""

    table_no: int
    name: str
    kind: JobKind
    failed: int
    ended: int


@dataclass(frozen=True, kw_only=True)
class ManyFailed:
    """A table and how many of its jobs need the operator."""

    table_no: int
    name: str
    failed: int


_EQUAL_ERRORS = Query("breaker.equal_errors", EqualErrors)
_FAILED_SHARE = Query("breaker.failed_share", FailedShare)
_MANY_FAILED = Query("breaker.many_failed", ManyFailed)


def tables_with_equal_errors(connection: Connection, run_id: int, *, in_a_row: int) -> list[EqualErrors]:
    """Tables whose last `in_a_row` endings were one error, with nothing done in between."""
    return _EQUAL_ERRORS.all(connection, run_id=run_id, in_a_row=in_a_row)


def tables_over_share(connection: Connection, run_id: int, *, at_least: int, share: float) -> list[FailedShare]:
    """Tables of whose jobs of one kind more than `share` failed, of `at_least` that ended."""
    return _FAILED_SHARE.all(connection, run_id=run_id, at_least=at_least, share=share)


def tables_with_many_failed(connection: Connection, run_id: int, *, most: int) -> list[ManyFailed]:
    """Tables of which more than `most` jobs need the operator while others wait."""
    return _MANY_FAILED.all(connection, run_id=run_id, most=most)
