"""Which parts of a swap the server refuses: what was met under the lock is tried again beside, to name all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors

from producer.check.findings import Finding
from producer.check.trial.attempt import LOCK_TIMEOUT_MS
from producer.check.trial.trial_swap import Clock, try_joint_parts, try_moves, try_own_parts, try_taken_away
from replank.values.table_spec import TableSpec
from sql.catalogue.dependents import read_dependents
from sql.catalogue.inheritance import children_first
from sql.session.connection import Connection, apply_settings
from sql.session.passing_errors import OF_ROWS, OF_SERVER
from sql.session.server_message import server_words
from sql.swap.event_triggers import refused_by
from sql.swap.swap_parts import Site

SHOWN = 10

RETRY = "`replank retry` and run again."

WAYS_OUT = (
    "Remove the cause (it may have been created since the run began), then `replank retry` and run again. If a "
    "definition of the live tables has to change: `replank rollback`, change it, and run again."
)


def named_failures(
    connection: Connection, specs: Sequence[TableSpec], foreign_keys: Sequence[Mapping[str, Any]], error: psycopg.Error
) -> str:
    """The message for a cutover that failed with `error`: each object, the reason, and the next commands.

    Tries the swap's parts on the existing next tables, in a transaction that is rolled back.
    """
    if isinstance(error, OF_SERVER):
        # A setting or the machine is in the way: nothing is tried again, and the server's hint names the setting.
        words = server_words(error)
        return f"the cutover failed and nothing was swapped: {words}. Correct this on the server, then {RETRY}"
    said = f"the cutover failed and nothing was swapped: {_said(error)}. "
    refused = refused_by(connection, error)
    if refused:
        # Everything else that is in the way is named too, or it would be found only after the trigger is gone.
        said = f"{said.rstrip()}{refused} "
    parts = _failing_parts(connection, specs, foreign_keys)
    if not parts and isinstance(error, OF_ROWS):
        return f"{said}Correct this in the live tables, then {RETRY}"
    if parts:
        more = f"; and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
        said += f"What cannot be created: {'; '.join(parts[:SHOWN])}{more}. "
    return said + WAYS_OUT


def _failing_parts(
    connection: Connection, specs: Sequence[TableSpec], foreign_keys: Sequence[Mapping[str, Any]]
) -> list[str]:
    found: list[Finding] = []
    clock = Clock()
    try:
        with connection.transaction(force_rollback=True):
            apply_settings(connection, {"lock_timeout": f"{LOCK_TIMEOUT_MS}ms"}, local=True)
            dependents = read_dependents(connection, specs)
            site = Site(connection=connection, dependents=dependents, before_swap=True)
            for spec in children_first(connection, specs):
                found += try_own_parts(connection, site, spec, clock)
            found += try_joint_parts(connection, site, specs, foreign_keys, clock)
            if not found:
                found += try_taken_away(connection, site, specs, foreign_keys, clock)
            found += try_moves(connection, specs, dependents, clock)
    except errors.OperationalError:
        # A lost session is handled where the run continues; this was only for the message.
        if connection.closed:
            raise
    except errors.DatabaseError as error:
        # A statement that reads definitions is refused itself: it is the reason.
        return [_said(error)]
    return [finding.message for finding in found]


def _said(error: psycopg.Error) -> str:
    """The server's message, the object that it names and its detail, which has the value."""
    diag = error.diag
    where = ".".join(part for part in (diag.schema_name, diag.table_name, diag.constraint_name) if part)
    said = diag.message_primary or str(error)
    if where and where not in said:
        said += f" ({where})"
    return said + (f" ({diag.message_detail})" if diag.message_detail else "")
