"""The trial: every next table is built once, empty, with its indexes, in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial

from psycopg import errors, sql

from producer.audit.findings import Audited, Finding, Subject, blocker, warning
from replank.chunk import Axis, Chunk
from replank.table_spec import TableSpec
from sql.connection import Connection, apply_settings, run
from sql.conversion import type_name
from sql.copying import copy_statement
from sql.indexes import attach_constraints, build_index, planned_indexes, read_indexes
from sql.next_table import create_next, server_text
from sql.on_update import create_on_update
from sql.sampling import draws_from_sequence

LOCK_TIMEOUT_MS = 1_000


def audit_by_trial(connection: Connection, audited: Audited, *, skip: frozenset[int]) -> list[Finding]:
    """Build everything, keep nothing. `skip` holds oids of tables that other findings refuse already."""
    found: list[Finding] = []
    with connection.transaction(force_rollback=True):
        apply_settings(connection, {"lock_timeout": f"{LOCK_TIMEOUT_MS}ms"}, local=True)
        for subject in audited.subjects:
            found += _defaults(connection, subject)
            if subject.live.oid not in skip:
                found += _build(connection, subject)
    return found


def _build(connection: Connection, subject: Subject) -> Iterator[Finding]:
    spec = subject.spec
    failed = _attempt(connection, subject, "the next table", partial(_create, connection, spec))
    if failed is not None:
        yield failed
        return
    indexes = read_indexes(connection, spec.heaps) + planned_indexes(connection, spec)
    all_built = True
    for index in indexes:
        failed = _attempt(connection, subject, f"index {index.name}", partial(build_index, connection, asdict(index)))
        if failed is not None:
            all_built = False
            yield failed
    if all_built:
        attach = partial(attach_constraints, connection, spec, indexes)
        failed = _attempt(connection, subject, "what stands on its indexes", attach)
        if failed is not None:
            yield failed
    # The last build's search_path would otherwise hold for the next table too.
    apply_settings(connection, {"search_path": "pg_catalog", "default_tablespace": ""}, local=True)


def _create(connection: Connection, spec: TableSpec) -> None:
    """The next table, and whether every value fits into it, as far as that can be said without reading rows."""
    create_next(connection, spec)
    create_on_update(connection, spec)
    copy = copy_statement(spec, Chunk(axis=Axis.HEAP, lower=None, upper=None), connection.info.server_version)
    run(connection, sql.SQL("EXPLAIN {}").format(copy))


def _attempt(connection: Connection, subject: Subject, what: str, build: Callable[[], None]) -> Finding | None:
    """Build one thing in a savepoint of its own, so that one mistake does not hide the others."""
    try:
        with connection.transaction():
            build()
    except errors.LockNotAvailable:
        return warning(
            "trial_unfinished",
            f"building {what} waited more than {LOCK_TIMEOUT_MS} ms for a lock and was given up",
            hint="Somebody holds the table exclusively. `replank check` again when that has ended.",
            table=subject.name,
            object=what,
        )
    except errors.OperationalError:
        # A lost connection or a stopping server is no fault of the plan.
        raise
    except errors.DatabaseError as error:
        return blocker(
            "trial_failed",
            f"{what} cannot be built with the new types: {error.diag.message_primary or error}",
            hint=error.diag.message_hint or "Change or drop it on the live table, or take its columns out of the plan.",
            table=subject.name,
            object=what,
            sqlstate=error.sqlstate,
        )
    return None


def _defaults(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """Whether each converted column's default gives a uuid. One that draws from a sequence is not tried."""
    for column in subject.converted:
        live = subject.live.column(column.name)
        default = live.default_expr if live else None
        if default is None or column.default or draws_from_sequence(default) or (live and live.generated):
            continue
        statement = sql.SQL("SELECT ({})::pg_catalog.text::{}").format(
            server_text(default), type_name(column.next_type)
        )
        try:
            with connection.transaction():
                run(connection, statement)
        except errors.DataError as error:
            yield blocker(
                "default_not_convertible",
                f"its default {default} is no uuid: {error.diag.message_primary}",
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
                hint="See that it gives a uuid.",
                table=subject.name,
                column=column.name,
                default=default,
            )
