"""References: rows whose foreign key leads nowhere, and columns that refer without a foreign key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import errors

from producer.audit_findings import Audited, Finding, Subject, blocker, warning
from sql import catalogue
from sql.auditing import count_orphans
from sql.catalogue import ForeignKey, LiveTable
from sql.connection import Connection, apply_settings, rows
from sql.named import query
from sql.sampling import matching, readable_tables, uuid_texts

WORDS_PER_COLUMN = 50
"""So many uuid-like words of a column are looked for among the ids."""

SAMPLE_TIMEOUT_MS = 2_000
PROBE_TIMEOUT_MS = 10_000

FORM_WORDS = {
    "text": "a text column outside the plan",
    "array": "an array of text, which is not converted",
    "json": "JSON, which is not converted",
}


def audit_orphans(connection: Connection, audited: Audited) -> list[Finding]:
    """Count rows without a parent where a foreign key does not promise that there are none."""
    keys = {key.oid: key for key in audited.foreign_keys}
    readable = readable_tables(connection)
    found: list[Finding] = []
    for suspect in rows(connection, query("audit.suspect_keys"), {"oids": list(keys)}):
        key = keys[suspect["oid"]]
        if not {key.table_oid, key.ref_oid} <= readable:
            continue
        count, examples = count_orphans(connection, key)
        if count:
            found.append(_orphans(key, suspect, count, examples))
    return found


def _orphans(key: ForeignKey, suspect: Mapping[str, bool], count: int, examples: Sequence[str]) -> Finding:
    table = f"{key.schema}.{key.table_name}"
    said = (
        f"{count:,} rows of {table} have no parent in {key.ref_schema}.{key.ref_table} (foreign key {key.name}), "
        f"such as {', '.join(examples)}"
    )
    binding = suspect["validated"] and not suspect["not_enforced"]
    if binding:
        return blocker(
            "orphans",
            f"{said}; the key counts as valid, but its triggers are switched off, and validating it anew would fail",
            hint="Remove or correct these rows, and ENABLE the triggers.",
            table=table,
            column=key.columns[0],
            count=count,
            foreign_key=key.name,
        )
    state = "NOT ENFORCED" if suspect["not_enforced"] else "NOT VALID"
    return warning(
        "orphans",
        f"{said}; the key is {state} and stays so",
        hint="Nothing is lost by the run. Remove these rows if the key is to be validated one day.",
        table=table,
        column=key.columns[0],
        count=count,
        foreign_key=key.name,
    )


@dataclass(frozen=True, kw_only=True)
class Referrer:
    """A column that may hold ids, with some uuid-like words from it."""

    table: LiveTable
    column: str
    form: str
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A column of ids that becomes uuid and has a unique index of its own."""

    subject: Subject
    column: str


def audit_soft_references(connection: Connection, audited: Audited) -> list[Finding]:
    """Columns outside the plan that hold converted ids, found by sampled joins. Bounded in time and rows."""
    referrers = list(_referrers(connection, audited))
    found: list[Finding] = []
    for target in _targets(audited):
        words = [(word, n) for n, referrer in enumerate(referrers) for word in referrer.words]
        if not words:
            break
        try:
            with connection.transaction():
                apply_settings(connection, {"statement_timeout": f"{PROBE_TIMEOUT_MS}ms"}, local=True)
                hits = matching(
                    connection, target.subject.live, target.column, [w for w, _ in words], [n for _, n in words]
                )
        except errors.QueryCanceled:
            found.append(_unfinished(target))
            continue
        found += [_soft_reference(referrers[n], target, count) for n, count in sorted(hits.items())]
    return found


def _referrers(connection: Connection, audited: Audited) -> Iterator[Referrer]:
    readable = readable_tables(connection)
    tables = {t.oid: t for t in catalogue.read_tables(connection) if t.oid in readable and not t.is_partition}
    for column in rows(connection, query("audit.referring_columns"), {"oids": list(tables)}):
        if audited.converts(column["oid"], column["name"]):
            continue
        table = tables[column["oid"]]
        try:
            with connection.transaction():
                apply_settings(connection, {"statement_timeout": f"{SAMPLE_TIMEOUT_MS}ms"}, local=True)
                words = uuid_texts(connection, table, column["name"], form=column["form"], wanted=WORDS_PER_COLUMN)
        except errors.QueryCanceled:
            continue
        if words:
            yield Referrer(table=table, column=column["name"], form=column["form"], words=tuple(words))


def _targets(audited: Audited) -> Iterator[Target]:
    for subject in audited.readable:
        converted = {column.name for column in subject.converted}
        referring = {name for key in audited.foreign_keys if key.table_oid == subject.live.oid for name in key.columns}
        for key in subject.live.unique:
            # A key that is a reference itself would only name the same ids once more.
            if len(key) == 1 and key[0] in converted - referring:
                yield Target(subject=subject, column=key[0])


def _soft_reference(referrer: Referrer, target: Target, count: int) -> Finding:
    ids = f"{target.subject.name}.{target.column}"
    return warning(
        "soft_reference",
        f"it is {FORM_WORDS[referrer.form]}, and {count} of {len(referrer.words)} sampled uuids in it are values of "
        f"{ids}, which becomes uuid",
        hint="Its values stay as they are, but uuid = text has no operator: queries that join them need a cast"
        " (id::text = …).",
        table=referrer.table.full_name,
        column=referrer.column,
        references={"table": target.subject.name, "column": target.column},
        matches=count,
        sampled=len(referrer.words),
    )


def _unfinished(target: Target) -> Finding:
    return warning(
        "soft_reference_unknown",
        f"looking for references to it without a foreign key took more than {PROBE_TIMEOUT_MS} ms and was given up",
        hint="Look through arrays, JSON and logs that may hold these ids yourself.",
        table=target.subject.name,
        column=target.column,
    )
