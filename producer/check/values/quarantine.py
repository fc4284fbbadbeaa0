"""Quarantine before the run: whether the plan follows every reference, and how many rows will be quarantined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import errors
from psycopg.sql import SQL

from producer.check.findings import Finding, blocker, warning
from producer.check.values.values import Scan
from producer.planning.plan_session import connect_for_plan
from producer.planning.prepared_run import PreparedRun, Subject
from producer.planning.quarantine_scope import quarantining_tables, with_quarantine
from replank.settings import Settings
from replank.values.chunk import Axis, Chunk
from replank.values.table_spec import TableSpec
from replank.wording import counted
from sql.catalogue.catalogue import ForeignKey
from sql.quarantine.quarantined_rows import count_quarantined, create_quarantine, quarantine_table
from sql.quarantine.resolve import resolve_conversion_set
from sql.rows import capture
from sql.rows.copy import log_invalid, source
from sql.session.connection import Connection, run, value
from sql.session.server_message import without_rows
from sql.session.statements import execute

LARGE_SHARE = 0.01
"""Above this, what is quarantined is no exception any more, and resolving it costs as much as the tables."""

EVERYTHING = Chunk(axis=Axis.HEAP, lower=None, upper=None)


def audit_policies(audited: PreparedRun) -> list[Finding]:
    """Every table that leads to one with quarantine must be in the plan, and say what becomes of its rows."""
    subjects = {subject.live.oid: subject for subject in audited.subjects}
    aside = quarantining_tables([(s.planned, s.live) for s in audited.subjects], audited.foreign_keys)
    found: list[Finding] = []
    for key in audited.foreign_keys:
        if key.ref_oid not in aside:
            continue
        child = subjects.get(key.table_oid)
        if child is None:
            found.append(_outside(key))
        else:
            found += _torn(child, subjects[key.ref_oid], key)
    found += [_in_place(subjects[oid]) for oid in sorted(aside) if subjects[oid].spec.method == "backfill"]
    return found


def _outside(key: ForeignKey) -> Finding:
    child, parent = f"{key.schema}.{key.table_name}", f"{key.ref_schema}.{key.ref_table}"
    return blocker(
        "quarantine_outside",
        f"foreign key {key.name} leads to {parent}, whose rows may be quarantined, and this table is not in the "
        "plan: its rows would refer to missing rows",
        hint='Add the table to the plan, with method = "rebuild" where nothing else of it changes; or let no row of '
        f'{parent} be quarantined (on_invalid = "fail", "null" or "name_based").',
        table=child,
        column=key.columns[0],
        foreign_key=key.name,
    )


def _torn(child: Subject, parent: Subject, key: ForeignKey) -> Iterator[Finding]:
    """The other end of a foreign key says quarantine too, or null; and neither end gets values of the plan's."""
    for column in child.converted:
        if column.name in key.columns and column.on_invalid in ("fail", "name_based"):
            yield blocker(
                "quarantine_torn",
                f"foreign key {key.name} leads to {parent.name}, whose rows may be quarantined, and on_invalid is "
                f"{column.on_invalid} here",
                hint='Set on_invalid = "quarantine": the row is quarantined with the one that it refers to. Or set '
                '"null" if the column allows NULL: the row stays without the reference.',
                table=child.name,
                column=column.name,
                foreign_key=key.name,
            )
    for subject, names in ((child, key.columns), (parent, key.ref_columns)):
        for column in subject.spec.columns:
            if column.value and column.name in names:
                yield blocker(
                    "quarantine_filled",
                    f"foreign key {key.name} leads to rows that may be quarantined, and the plan fills this column: "
                    "which rows will refer to them is unknown",
                    hint="Fill the column in a run of its own, before or after this one.",
                    table=subject.name,
                    column=column.name,
                    foreign_key=key.name,
                )


def _in_place(subject: Subject) -> Finding:
    return blocker(
        "quarantine_in_place",
        "its rows may be quarantined, so it cannot be filled in place",
        hint='Set method = "rebuild", or remove the method.',
        table=subject.name,
    )


def count_quarantined_rows(settings: Settings, audited: PreparedRun, scan: Scan) -> list[Finding]:
    """How many rows of each table will be quarantined: what a run would do, in a transaction that is rolled back.

    Only where the scan has found such texts. Memory and time go with the rows that are quarantined.
    """
    tables = [(s.planned, s.live) for s in audited.subjects]
    concerned = [
        spec
        for spec in with_quarantine([s.spec for s in audited.subjects], tables, audited.foreign_keys)
        if spec.settles
    ]
    bad = [s for s in concerned if any(_bad(scan, s, c.name) for c in s.quarantining_columns)]
    if not bad:
        return []
    session = {"lock_timeout": f"{settings.lock_timeout_ms}ms"}
    try:
        with (
            connect_for_plan(settings, audited.file.plan, name="check quarantine", session=session) as connection,
            connection.transaction(force_rollback=True),
        ):
            _rehearse(connection, concerned, bad)
            return [finding for spec in concerned for finding in _counted(connection, spec)]
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction, errors.LockNotAvailable) as error:
        return [
            warning(
                "quarantine_uncounted",
                f"could not count the rows that will be quarantined: {without_rows(error)}",
                hint="`replank status` shows it while the run works, before the cutover.",
            )
        ]


def _bad(scan: Scan, spec: TableSpec, column: str) -> int:
    count = scan.counts.get((spec.oid, column))
    return 0 if count is None else count.bad


def _rehearse(connection: Connection, concerned: Sequence[TableSpec], bad: Sequence[TableSpec]) -> None:
    """Settle a quarantine of all these tables, as if every one of them had its first drain now."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS replank")
    for spec in (spec for spec in concerned if spec.key):
        execute(connection, capture.create_log(connection, spec))
        create_quarantine(connection, spec)
    for spec in (spec for spec in bad if spec.key):
        log_invalid(connection, spec, EVERYTHING)
    members = [spec for spec in concerned if spec.key]
    resolve_conversion_set(connection, members, frozenset(spec.table_no for spec in members))


def _counted(connection: Connection, spec: TableSpec) -> Iterator[Finding]:
    aside = count_quarantined(connection, spec) if spec.key else 0
    if not aside:
        return
    own_ones = SQL("SELECT count(*) FROM {} WHERE parent_no IS NULL").format(quarantine_table(spec))
    own = value(connection, own_ones)
    found = run(connection, SQL("SELECT count(*) FROM {}").format(source(spec))).fetchone()
    rows = int(found[0]) if found else 0
    details = {"count": aside, "own": own, "rows": rows}
    yield warning(
        "quarantined",
        f"{aside:,} of {counted(rows, 'row')} will be quarantined: {own:,} for a text that does not convert, "
        f"{aside - own:,} because they refer to such rows",
        hint="They will not be in the new table. `replank quarantine list` shows each with its value and the reason.",
        table=spec.full_name,
        **details,
    )
    if aside > rows * LARGE_SHARE:
        yield warning(
            "quarantine_large",
            f"that is {aside / rows:.1%} of the table; quarantine is meant for few rows",
            hint="Consider another policy: name_based keeps all rows, with uuids made of their texts.",
            table=spec.full_name,
            **details,
        )
