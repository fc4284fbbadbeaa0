"""One attempt of the trial: something is built, and what the server says against it becomes a finding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from psycopg import errors

from producer.check.findings import Finding, blocker, warning
from replank.errors import NeedsOperator
from sql.session.connection import Connection
from sql.session.server_message import without_rows
from sql.session.statements import Statement, execute

LOCK_TIMEOUT_MS = 1_000
LONGEST_STATEMENT = 200
"""Characters of a statement that a message shows; all of it is in the finding's details."""

NOT_MADE = ("trial_failed", "trial_unfinished")
"""The codes of what could not be made in a trial."""


class Last:
    """What was said last, for the message about it."""

    def __init__(self) -> None:
        self.text = ""

    def of(self, statements: Iterable[Statement]) -> Iterator[Statement]:
        for statement in statements:
            if not statement.run_only:
                self.text = statement.sql.as_string(None)
                yield statement


def attempt(
    connection: Connection,
    table: str | None,
    what: str,
    statements: Iterable[Statement],
    hint: str = "",
    *,
    of_many: bool = False,
) -> Finding | None:
    """Build one thing in a savepoint of its own, so that one mistake does not hide the others.

    `hint` says what to do where the server has no hint of its own. `of_many`: `what` is many things, so the statement
    names the one that failed.
    """
    said = Last()
    try:
        with connection.transaction():
            execute(connection, said.of(statements))
    except errors.LockNotAvailable:
        return warning(
            "trial_unfinished",
            f"building {what} waited more than {LOCK_TIMEOUT_MS} ms for a lock and was cancelled",
            hint="Another session holds an exclusive lock on the table. Run `replank check` again when it has ended.",
            table=table,
            object=what,
        )
    except errors.UnsafeNewEnumValueUsage:
        return warning(
            "trial_unfinished",
            f"building {what} needs a value that step 05 adds to an existing type: this cannot be tested yet",
            hint="`replank run` tests it after the step, and stops if it cannot be built.",
            table=table,
            object=what,
        )
    except errors.OperationalError:
        # A lost connection or a stopping server is no fault of the plan.
        raise
    except errors.DatabaseError as error:
        hint = hint or _hint(error)
        statement = said.text
        shown = f", in: {_on_one_line(statement)}" if of_many and statement else ""
        return blocker(
            "trial_failed",
            f"{what} cannot be built with the new types: {without_rows(error)}{shown}",
            hint=hint,
            table=table,
            object=what,
            sqlstate=error.sqlstate,
            constraint=error.diag.constraint_name,
            column=error.diag.column_name,
            statement=statement,
        )
    except NeedsOperator as error:
        return blocker(
            "trial_failed",
            f"{what} cannot be built: {error}",
            hint="Change or drop it, or remove the tables that it reads from the plan.",
            table=table,
            object=what,
        )
    return None


def _hint(error: errors.DatabaseError) -> str:
    if isinstance(error, errors.InsufficientPrivilege):
        return "The role lacks a privilege; the plan is not the cause. docs/roles.md has the SQL for the role."
    if isinstance(error, errors.UndefinedFunction):
        # Also where it compares with a constant: the server keeps the constant as a text. Its own hint speaks of
        # casts, which it takes away again where the column is a text already.
        return (
            "Write it so that it works with either type: `concat(id)` is the text of both, `id::uuid = …` compares "
            "uuids; or remove its columns from the plan."
        )
    return error.diag.message_hint or "Change or drop it on the live table, or remove its columns from the plan."


def _on_one_line(statement: str) -> str:
    said = " ".join(statement.split())
    return said if len(said) <= LONGEST_STATEMENT else said[:LONGEST_STATEMENT] + " …"
