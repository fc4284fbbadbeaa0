"""The trial: every next table is built once, empty, with its indexes, in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

from psycopg import errors, sql

from producer.audit.attempt import LOCK_TIMEOUT_MS, attempt
from producer.audit.families import try_links
from producer.audit.findings import Audited, Finding, Subject, blocker, warning
from producer.audit.trial_dependents import try_dependents
from producer.audit.trial_triggers import try_triggers
from producer.enum_types import make_types
from replank.chunk import Axis, Chunk
from replank.table_spec import TableSpec
from sql.connection import Connection, apply_settings, run
from sql.copying import copy_statement
from sql.event_triggers import refuse_dressed
from sql.indexes import build_index
from sql.next_indexes import next_indexes, stand_on_indexes
from sql.next_table import column_default, create_next
from sql.on_update import create_on_update, function_name
from sql.sampling import draws_from_sequence


def audit_by_trial(connection: Connection, audited: Audited, *, skip: frozenset[int]) -> list[Finding]:
    """Build everything, keep nothing. `skip` holds oids of tables that other findings refuse already."""
    found: list[Finding] = []
    with connection.transaction(force_rollback=True):
        apply_settings(connection, {"lock_timeout": f"{LOCK_TIMEOUT_MS}ms"}, local=True)
        make_types(connection, audited.file.plan)
        for subject in audited.subjects:
            found += _defaults(connection, subject)
            if subject.live.oid not in skip:
                found += _build(connection, subject)
        if not skip and not any(finding.blocks for finding in found):
            # What joins or reads several tables can only be tried when all of them are there.
            found += try_links(connection, audited) or try_dependents(connection, audited)
    return found


def _build(connection: Connection, subject: Subject) -> Iterator[Finding]:
    spec = subject.spec
    failed = attempt(connection, subject.name, "the next table", partial(_create, connection, spec))
    if failed is not None:
        yield failed
        return
    indexes = next_indexes(connection, spec)
    all_built = True
    for index in indexes:
        failed = attempt(
            connection, subject.name, f"index {index.name}", partial(build_index, connection, asdict(index))
        )
        if failed is not None:
            all_built = False
            yield failed
    if all_built:
        attach = partial(stand_on_indexes, connection, spec, indexes)
        failed = attempt(connection, subject.name, "what stands on its indexes", attach)
        if failed is not None:
            yield failed
    yield from try_triggers(connection, subject)
    # The last build's search_path would otherwise hold for the next table too.
    apply_settings(connection, {"search_path": "pg_catalog", "default_tablespace": ""}, local=True)


def _create(connection: Connection, spec: TableSpec) -> None:
    """The next table, and whether every value fits into it, as far as that can be said without reading rows."""
    create_next(connection, spec)
    create_on_update(connection, spec)
    refuse_dressed(connection, spec, triggers=[function_name(spec)])
    copy = copy_statement(spec, Chunk(axis=Axis.HEAP, lower=None, upper=None), connection.info.server_version)
    run(connection, sql.SQL("EXPLAIN {}").format(copy))


def _defaults(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """Whether each converted column's default converts. One that draws from a sequence is not tried."""
    for column in subject.converted:
        live = subject.live.column(column.name)
        default = live.present_default if live else None
        if default is None or column.default or draws_from_sequence(default) or (live and live.generated):
            continue
        statement = sql.SQL("SELECT {}").format(column_default(column, default))
        try:
            with connection.transaction():
                run(connection, statement)
        except errors.DataError as error:
            yield blocker(
                "default_not_convertible",
                f"its default {default} is no {column.next_type}: {error.diag.message_primary}",
                hint="Change or drop the default, or take the column out of the plan.",
                table=subject.name,
                column=column.name,
                default=default,
            )
        except errors.OperationalError:
            raise
        except errors.DatabaseError as error:
            yield warning(
                "default_unknown",
                f"its default {default} could not be tried: {error.diag.message_primary}",
                hint=f"See that it gives a {column.next_type}.",
                table=subject.name,
                column=column.name,
                default=default,
            )
