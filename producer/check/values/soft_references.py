"""References without a foreign key, found by sampled joins: one side becomes uuid and the other stays text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg import errors

from producer.check.findings import Finding, warning
from producer.planning.prepared_run import PreparedRun
from sql.catalogue import catalogue
from sql.catalogue.catalogue import LiveTable
from sql.checks.sampling import matching, readable_tables, uuid_texts
from sql.session.connection import Connection, apply_settings, rows
from sql.session.named_queries import query

PLACEHOLDERS = frozenset({UUID(int=0), UUID(int=2**128 - 1)})
"""The nil uuid and the largest one stand for "none" in tables that have nothing to do with each other."""

WORDS_PER_COLUMN = 50
"""So many uuid-like words of a column are looked for among the ids."""

SAMPLE_TIMEOUT_MS = 2_000
PROBE_TIMEOUT_MS = 10_000

FORM_WORDS = {
    "text": "a text column outside the plan",
    "array": "an array of text, which is not converted",
    "json": "JSON, which is not converted",
}

CAST_HINT = (
    "Its values do not change, but there is no operator uuid = text: queries that join the two need a cast "
    "(id::text = …)"
)


NAMED_ANEW_HINT = (
    "Its uuids do not change, and queries that join the two need a cast (id::text = …); its other texts may be ids "
    "that on_invalid = name_based changes: `dangling_references` counts them"
)


@dataclass(frozen=True, kw_only=True)
class Referrer:
    """A column that may hold ids, with some uuid-like words from it."""

    table: LiveTable
    column: str
    form: str
    words: tuple[str, ...]
    converted: bool


@dataclass(frozen=True, kw_only=True)
class Target:
    """A text column with a unique index of its own that is no reference itself."""

    table: LiveTable
    column: str
    converted: bool
    gets_new_ids: bool
    """Whether texts of it that are no uuids become other ids."""


def audit_soft_references(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """Columns that hold ids of the other side of the plan's border. Bounded in time and in rows."""
    readable = readable_tables(connection)
    tables = {t.oid: t for t in catalogue.read_tables(connection) if t.oid in readable and not t.is_partition}
    referrers = list(_referrers(connection, audited, tables))
    found: list[Finding] = []
    for target in _targets(connection, audited, tables):
        across = [r for r in referrers if r.converted != target.converted]
        if not across:
            continue
        try:
            hits = _probe(connection, target, across)
        except errors.QueryCanceled:
            found.append(_unfinished(target))
            continue
        found += [_soft_reference(across[n], target, count) for n, count in sorted(hits.items())]
    return found


def _probe(connection: Connection, target: Target, referrers: Sequence[Referrer]) -> dict[int, int]:
    """Number of the referrer → how many of its words are ids of the target."""
    words = [(word, n) for n, referrer in enumerate(referrers) for word in referrer.words]
    with connection.transaction():
        apply_settings(connection, {"statement_timeout": f"{PROBE_TIMEOUT_MS}ms"}, local=True)
        return matching(connection, target.table, target.column, [w for w, _ in words], [n for _, n in words])


def _referrers(connection: Connection, audited: PreparedRun, tables: dict[int, LiveTable]) -> Iterator[Referrer]:
    for column in rows(connection, query("audit.referring_columns"), {"oids": list(tables)}):
        table = tables[column["oid"]]
        converted = audited.converts(table.oid, column["name"])
        try:
            with connection.transaction():
                apply_settings(connection, {"statement_timeout": f"{SAMPLE_TIMEOUT_MS}ms"}, local=True)
                found = uuid_texts(connection, table, column["name"], form=column["form"], wanted=WORDS_PER_COLUMN)
        except errors.QueryCanceled:
            continue
        words = [word for word in found if UUID(word) not in PLACEHOLDERS]
        if words:
            yield Referrer(
                table=table, column=column["name"], form=column["form"], words=tuple(words), converted=converted
            )


def _targets(connection: Connection, audited: PreparedRun, tables: dict[int, LiveTable]) -> Iterator[Target]:
    # A key that is a reference itself would only name the same ids once more.
    keys = catalogue.read_foreign_keys(connection, list(tables))
    referring = {(key.table_oid, name) for key in keys for name in key.columns}
    for table in tables.values():
        for key in table.unique:
            column = table.column(key[0])
            if len(key) == 1 and column is not None and column.is_text and (table.oid, key[0]) not in referring:
                yield Target(
                    table=table,
                    column=key[0],
                    converted=audited.converts(table.oid, key[0]),
                    gets_new_ids=audited.gives_new_ids(table.oid, key[0]),
                )


def _soft_reference(referrer: Referrer, target: Target, count: int) -> Finding:
    ids = f"{target.table.full_name}.{target.column}"
    hits = f"{count} of {len(referrer.words)} sampled uuids in it are values of {ids}"
    if referrer.converted:
        message, hint = f"it becomes uuid, and {hits}, which stays text", CAST_HINT.replace("Its values", "Those")
    elif target.gets_new_ids:
        message = f"it is {FORM_WORDS[referrer.form]}, and {hits}, which becomes uuid"
        hint = NAMED_ANEW_HINT
    else:
        message, hint = f"it is {FORM_WORDS[referrer.form]}, and {hits}, which becomes uuid", CAST_HINT
    return warning(
        "soft_reference",
        message,
        hint=hint,
        table=referrer.table.full_name,
        column=referrer.column,
        references={"table": target.table.full_name, "column": target.column},
        matches=count,
        sampled=len(referrer.words),
    )


def _unfinished(target: Target) -> Finding:
    return warning(
        "soft_reference_unknown",
        f"the search for references to it without a foreign key took more than {PROBE_TIMEOUT_MS} ms and was cancelled",
        hint="Check arrays, JSON and logs that may hold these ids yourself.",
        table=target.table.full_name,
        column=target.column,
    )
