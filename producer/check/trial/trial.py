"""The trial: next tables and all that the swap makes on them, built empty in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass

from psycopg import errors
from psycopg.sql import SQL

from producer.check.findings import Finding, blocker, warning
from producer.check.trial.attempt import LOCK_TIMEOUT_MS, NOT_MADE, attempt
from producer.check.trial.families import try_links
from producer.check.trial.hidden_casts import kept_casts, try_without_casts
from producer.check.trial.trial_columns import why_not
from producer.check.trial.trial_dependents import try_views
from producer.check.trial.trial_swap import (
    Clock,
    key_documents_of,
    try_joint_parts,
    try_moves,
    try_own_parts,
    try_reverse_capture,
    try_taken_away,
    try_text_casts,
)
from producer.planning.prepared_run import PreparedRun, Subject
from producer.steps.enum_types import make_types
from replank.values.chunk import Axis, Chunk
from replank.values.table_spec import TableSpec
from sql.catalogue.catalogue import ForeignKey
from sql.catalogue.dependents import read_dependents
from sql.catalogue.inheritance import children_first
from sql.checks.sampling import draws_from_sequence
from sql.next_table.builder import column_default, create_next
from sql.next_table.index_selection import next_indexes, stand_on_indexes
from sql.next_table.indexes import build_index
from sql.next_table.on_update_trigger import create_on_update, function_name
from sql.rows.copy import copy_statement
from sql.session.connection import Connection, apply_settings, run
from sql.session.server_message import without_rows
from sql.session.statements import Statement, execute, scratch
from sql.swap.event_triggers import refuse_added_objects
from sql.swap.swap_parts import Site
from sql.swap.views_beside import make_schemas

INDEX_HINT = (
    "Index the expression `id::uuid::text`, which works with either type; operator classes for text "
    "(text_pattern_ops, gin_trgm_ops) need it. Or drop the index before the run: an ordinary index on the uuid is "
    "enough."
)
"""`concat` would not do: no index takes what is not immutable."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What could not be made, and how long the statements of the swap took; None where they were not all tried."""

    findings: list[Finding]
    hold_ms: float | None


def audit_by_trial(
    connection: Connection, audited: PreparedRun, *, skip: frozenset[int], torn: Collection[str]
) -> Trial:
    """Build everything, keep nothing. `skip` holds oids of tables that other findings refuse already, `torn` names of
    foreign keys."""
    found: list[Finding] = []
    clock = Clock()
    whole = not skip
    with scratch(connection):
        apply_settings(connection, {"lock_timeout": f"{LOCK_TIMEOUT_MS}ms"}, local=True)
        make_types(connection, audited.file.plan)
        specs = [subject.spec for subject in audited.subjects if subject.spec.method == "rebuild"]
        site = Site(connection=connection, dependents=read_dependents(connection, specs), before_swap=True)
        whole = whole and bool(specs)
        for subject in audited.subjects:
            found += _defaults(connection, subject)
            if subject.live.oid in skip:
                continue
            failed = list(_build(connection, subject))
            whole = whole and not failed
            found += failed
            if not failed and subject.spec.method == "rebuild" and not subject.spec.kin:
                found += try_own_parts(connection, site, subject.spec, clock)
        if whole:
            # What joins or reads several tables can only be tried when all of them are there.
            keys = [key for key in audited.foreign_keys if key.name not in torn]
            found += _together(connection, audited, site, specs, keys, clock)
    whole = whole and not any(finding.code in NOT_MADE for finding in found)
    return Trial(findings=found, hold_ms=clock.seconds * 1_000 if whole else None)


def audit_hold(audited: PreparedRun, hold_ms: float | None) -> Iterator[Finding]:
    """Whether the swap's statements alone take longer than the plan lets the cutover hold its locks."""
    budget_ms = audited.file.plan.options.cutover_hold_budget_ms
    if hold_ms is not None and hold_ms > budget_ms:
        yield warning(
            "hold_too_long",
            f"the statements of the swap took {hold_ms:,.0f} ms in the trial, and the plan limits the cutover's "
            f"locks to cutover_hold_budget_ms = {budget_ms}: each attempt may be rolled back",
            hint="Check for event triggers that slow down every statement, or raise the budget: it is the time in "
            "which no session can read or write these tables.",
            hold_ms=round(hold_ms, 1),
        )


def _together(
    connection: Connection,
    audited: PreparedRun,
    site: Site,
    specs: Sequence[TableSpec],
    keys: Sequence[ForeignKey],
    clock: Clock,
) -> list[Finding]:
    found = try_links(connection, audited)
    if found:
        return found
    # What is added to a parent is inherited by its children: so their inheritance comes first.
    found = [
        finding
        for spec in children_first(connection, specs)
        if spec.kin
        for finding in try_own_parts(connection, site, spec, clock)
    ]
    execute(connection, make_schemas(connection, site.dependents))
    casts = kept_casts(connection, audited, site.dependents)
    views = [*try_views(connection, site.dependents)]
    options = audited.file.plan.options
    documents = key_documents_of(specs, keys)
    found += [*views, *try_joint_parts(connection, site, specs, documents, clock)]
    if options.reverse_capture:
        found += try_reverse_capture(connection, specs, clock)
    if not any(finding.blocks for finding in found):
        found += try_without_casts(connection, casts)
        found += try_taken_away(connection, site, specs, documents, clock)
        found += try_moves(connection, specs, site.dependents, clock)
    if options.text_casts:
        found += try_text_casts(connection)
    return found


def _build(connection: Connection, subject: Subject) -> Iterator[Finding]:
    spec = subject.spec
    failed = attempt(connection, subject.name, "the next table", _create(connection, spec), of_many=True)
    if failed is not None:
        yield from why_not(connection, subject) or [failed]
        return
    indexes = next_indexes(connection, spec)
    all_built = True
    for index in indexes:
        failed = attempt(
            connection,
            subject.name,
            f"index {index.name}",
            [build_index(asdict(index))],
            INDEX_HINT,
        )
        if failed is not None:
            all_built = False
            yield failed
    if all_built:
        attached = stand_on_indexes(connection, spec, indexes)
        failed = attempt(connection, subject.name, "what depends on its indexes", attached, of_many=True)
        if failed is not None:
            yield failed


def _create(connection: Connection, spec: TableSpec) -> Iterator[Statement]:
    """The next table, and whether every value fits into it, as far as that can be said without reading rows."""
    yield from create_next(connection, spec)
    yield from create_on_update(spec)
    refuse_added_objects(connection, spec, triggers=[function_name(spec)])
    copy = copy_statement(spec, Chunk(axis=Axis.HEAP, lower=None, upper=None), connection.info.server_version)
    yield Statement(sql=SQL("EXPLAIN {}").format(copy))


def _defaults(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """Whether each converted column's default converts. One that draws from a sequence is not tried."""
    for column in subject.converted:
        live = subject.live.column(column.name)
        default = live.present_default if live else None
        if default is None or column.default or draws_from_sequence(default) or (live and live.generated):
            continue
        statement = SQL("SELECT {}").format(column_default(column, default))
        try:
            with connection.transaction():
                run(connection, statement)
        except errors.DataError as error:
            yield blocker(
                "default_not_convertible",
                f"its default {default} is not a valid {column.next_type}: {without_rows(error)}",
                hint="Change or drop the default, or remove the column from the plan.",
                table=subject.name,
                column=column.name,
                default=default,
            )
        except errors.OperationalError:
            raise
        except errors.DatabaseError as error:
            yield warning(
                "default_unknown",
                f"its default {default} could not be tested: {without_rows(error)}",
                hint=f"Check that it returns a {column.next_type}.",
                table=subject.name,
                column=column.name,
                default=default,
            )
