"""References that would lead nowhere: texts that `name_based` changes, found where they stay as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from psycopg import errors

from producer.check.findings import Finding, blocker, warning
from producer.planning.prepared_run import PreparedRun, Subject
from replank.errors import TryAgain
from replank.plan.tables.cache_plan import TableCachePlan
from replank.values.table_spec import ColumnSpec
from replank.wording import counted, verb
from sql.checks.dangling import (
    UNREADABLE,
    Found,
    WordColumn,
    find_words,
    forget_changed,
    referring_alike,
    remember_changed,
    word_columns,
)
from sql.session.connection import Connection
from sql.session.server_message import without_rows

CONSENT = "dangling_references"
SHOWN_PATHS = 5


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A column of the plan whose texts become uuids made of them."""

    subject: Subject
    column: ColumnSpec

    @property
    def full_name(self) -> str:
        return f"{self.subject.name}.{self.column.name}"

    @property
    def consented(self) -> bool:
        planned = next(c for c in self.subject.planned.columns if c.name == self.column.name)
        return CONSENT in planned.consent


def audit_dangling(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """Counted over all rows of all tables. Needs a session that may make temporary tables, in autocommit."""
    changed = _changed(connection, audited)
    if not changed:
        return []
    version = connection.info.server_version
    remembered = [(one.subject.spec, one.column, one.subject.live.longest_heap) for one in changed]
    try:
        some = remember_changed(connection, remembered, version)
    except errors.InsufficientPrivilege as error:
        return [_unknown("the database", without_rows(error))]
    found = [*_find_dangling(connection, audited, changed, version)] if some else []
    forget_changed(connection)
    return found


def needs_count(audited: PreparedRun) -> bool:
    """Whether some texts may change that the plan does not give up references to."""
    return any(not one.consented for one in _name_based(audited))


def _name_based(audited: PreparedRun) -> list[Changed]:
    return [
        Changed(subject=subject, column=column)
        for subject in audited.readable
        for column in subject.converted
        if column.on_invalid == "name_based"
    ]


def _changed(connection: Connection, audited: PreparedRun) -> list[Changed]:
    """Without those whose texts are all another's, as a foreign key says."""
    columns = {(one.subject.live.oid, one.column.name): one for one in _name_based(audited)}
    oids = sorted({oid for oid, _ in columns})
    children = {
        child
        for child, parent in referring_alike(connection, oids)
        if parent in columns and child in columns and child != parent
    }
    kept = [one for place, one in columns.items() if place not in children]
    return kept or list(columns.values())


def _find_dangling(
    connection: Connection, audited: PreparedRun, changed: Sequence[Changed], version: int
) -> Iterator[Finding]:
    totals: dict[tuple[str, str, int], Found] = {}
    becomes_null: set[tuple[str, str]] = set()
    heaps = groupby(word_columns(connection), key=lambda column: column.heap)
    for _, columns in heaps:
        kept = [column for column in columns if _stays(audited, column)]
        unread = [column for column in kept if not column.readable]
        if unread:
            yield _unknown(unread[0].full_name, "its rows cannot be read")
        kept = [column for column in kept if column.readable]
        if not kept:
            continue
        try:
            hits = find_words(connection, kept, version)
        except UNREADABLE as error:
            yield _unknown(kept[0].full_name, without_rows(error))
            continue
        except errors.LockNotAvailable:
            raise TryAgain(
                f"{kept[0].full_name} is locked by another session. Run the command again when that session has ended."
            ) from None
        for (number, source), hit in hits.items():
            column = kept[number]
            if audited.converts(column.table, column.column):
                becomes_null.add((column.full_name, column.column))
            total = totals.setdefault((column.full_name, column.column, source), Found())
            total.count += hit.count
            total.examples = (total.examples + hit.examples)[:5]
            total.paths += hit.paths
    for (table, column_name, source), total in totals.items():
        lost = (table, column_name) in becomes_null
        yield _dangling(table, column_name, changed[source], total, becomes_null=lost)


def _stays(audited: PreparedRun, column: WordColumn) -> bool:
    """Whether its texts do not become the same uuids: they stay, or become NULL."""
    if any(
        isinstance(cache, TableCachePlan) and cache.full_name == column.full_name for cache in audited.file.plan.caches
    ):
        return False  # It is filled again from the new tables.
    for subject in (s for s in audited.subjects if s.live.oid == column.table):
        spec = next((c for c in subject.spec.columns if c.name == column.column), None)
        if spec is not None and spec.converted:
            # Texts that become nothing else are blockers of their own, or their rows are quarantined.
            return spec.on_invalid == "null" and not spec.enum
        if spec is not None and spec.value and not spec.only_null:
            return False
    return True


def _dangling(table: str, column: str, changed: Changed, found: Found, *, becomes_null: bool) -> Finding:
    examples = ", ".join(f"'{example}'" for example in found.examples)
    at = ""
    if found.paths:
        shown = [f"{path} ({count:,})" for path, count in found.paths.most_common(SHOWN_PATHS)]
        at = f", at {', '.join(shown)}"
    fate = "it becomes NULL for them (on_invalid = null)" if becomes_null else "it keeps its text"
    make = warning if changed.consented else blocker
    return make(
        CONSENT,
        f"{counted(found.count, 'value')} of it, such as {examples}{at}, {verb(found.count, 'is')} among the texts "
        f"of {changed.full_name} that become other ids (on_invalid = name_based); {fate}, so these references are "
        "lost after the swap",
        hint="Let it become uuid with on_invalid = name_based too, or give these rows uuids before the run; or set "
        f'consent = ["{CONSENT}"] at {changed.full_name} to accept that the references are lost.',
        table=table,
        column=column,
        references={"table": changed.subject.name, "column": changed.column.name},
        count=found.count,
        examples=found.examples,
        paths=dict(found.paths),
    )


def _unknown(table: str, why: str) -> Finding:
    return warning(
        "dangling_unknown",
        f"could not check whether it holds ids that name_based changes: {why}",
        hint="Check it yourself, or run `replank check` as a role that can read it.",
        table=table,
    )
