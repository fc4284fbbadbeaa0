"""RECONNECT is sent to PgBouncer after a swap: its server connections have prepared statements from before it.

At least once for each swap, forward and back: the ledger knows which ones have been told. A pooler that cannot be told
does not stop the run; the event says what the operator has to do then.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

import psycopg
import structlog

from replank.errors import WrongUse
from replank.plan.operation.after_cutover_plan import PoolerAddress, pooler_addresses
from sql.ledger.runs.events import add_event
from sql.ledger.runs.runs import Run
from sql.ledger.tables import conversion_sets
from sql.session.connection import Connection

log = structlog.get_logger()

CONNECT_TIMEOUT_S = 3
EVENT = "pooler"
NOT_TAKEN = "PgBouncer did not accept RECONNECT; send it from the admin console (`psql … pgbouncer -c RECONNECT`)"


def reconnect_poolers(
    connection: Connection, run: Run, *, actor: str, environment: Mapping[str, str] = os.environ
) -> None:
    """Tell the plan's poolers about swaps that they have not been told of; nothing where there are none."""
    if not run.plan.after_cutover.pgbouncer:
        return
    swapped = conversion_sets.sets_to_reconnect(connection, run.run_id)
    if not swapped:
        return
    try:
        results = [
            (address.shown, reconnect(address)) for address in pooler_addresses(run.plan.after_cutover, environment)
        ]
    except WrongUse as error:
        results = [("pgbouncer", str(error))]
    for pooler, problem in results:
        message = (
            f"{NOT_TAKEN}: {problem}"
            if problem
            else "RECONNECT was sent: PgBouncer closes each server connection when it is released"
        )
        add_event(connection, run.run_id, actor=actor, kind=EVENT, subject=pooler, message=message)
        log.log(logging.ERROR if problem else logging.INFO, EVENT, pooler=pooler, message=message)
    conversion_sets.set_reconnected(connection, run.run_id, swapped)


def reconnect(address: PoolerAddress) -> str:
    """Say RECONNECT. Returns what was in the way, in one line without the URL; empty if it was taken."""
    try:
        with psycopg.connect(
            address.url,
            autocommit=True,
            prepare_threshold=None,
            application_name="replank reconnect",
            connect_timeout=CONNECT_TIMEOUT_S,
        ) as console:
            console.execute("RECONNECT")
    except psycopg.Error as error:
        # libpq's own words name the address, never the password; a URL that it cannot read it would repeat.
        known = isinstance(error, psycopg.OperationalError) or error.sqlstate is not None
        return str(error).strip().splitlines()[0] if known else "the URL cannot be read"
    return ""
