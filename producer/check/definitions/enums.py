"""Text columns that become enums: CHECKs, expressions that name texts, orders that change, foreign keys torn apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from producer.check.findings import Finding, blocker, warning
from producer.planning.prepared_run import PreparedRun, Subject
from replank.values.table_spec import ColumnSpec
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.values.enum_checks import EnumCheck, enum_checks, index_of_values


def audit_enums(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """What the catalogue says against, or what an operator should know. Reads no row."""
    found: list[Finding] = []
    subjects = [s for s in audited.subjects if any(column.enum for column in s.converted)]
    for subject in subjects:
        checks = [
            check
            for relation in subject.spec.relations
            for check in enum_checks(connection, relation.oid, subject.spec.columns)
        ]
        found += _maps(subject)
        found += _checks(subject, checks)
        found += _orders(connection, subject)
        found += _expressions(connection, subject)
    found += _torn(audited)
    if subjects and audited.file.plan.options.text_casts:
        found.append(
            warning(
                "text_casts_no_enums",
                "text_casts covers uuids only: comparing a value of type text with an enum fails after the cutover",
                hint="Let clients send enum values without a type, or cast them to the enum.",
            )
        )
    return found


def _maps(subject: Subject) -> Iterator[Finding]:
    for column in (column for column in subject.converted if column.words):
        texts = [text for text, _ in column.words]
        yield warning(
            "enum_map",
            f"after the cutover, clients that send {', '.join(map(repr, texts[:3]))} fail: these are not values of "
            f"{column.next_type}",
            hint="Deploy clients that send the new values at the cutover; or keep the texts as values, and rename "
            "them in step 05 of a later plan.",
            table=subject.name,
            column=column.name,
            texts=texts,
        )


def _checks(subject: Subject, checks: Sequence[EnumCheck]) -> Iterator[Finding]:
    columns = {column.name: column for column in subject.converted}
    for check in {check.name: check for check in checks if check.becomes is None}.values():
        over = ", ".join(check.columns)
        if all(columns[name].drops_checks for name in check.columns):
            yield warning(
                "enum_check_dropped",
                f"{check.name} {check.definition} compares texts and is dropped with the swap, as the plan allows",
                hint="A rollback restores it with the past table.",
                table=subject.name,
                column=check.columns[0],
                constraint=check.name,
            )
            continue
        yield blocker(
            "enum_checks_lost",
            f"{check.name} {check.definition} compares texts of {over} and is not a list of values: it cannot be "
            "written for an enum",
            hint='Drop it, or set consent = ["enum_checks"] at the column: then the swap drops it.',
            table=subject.name,
            column=check.columns[0],
            constraint=check.name,
        )


def _orders(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """Values of an enum are in the order of their declaration, texts in that of their collation."""
    for column in (column for column in subject.converted if column.enum):
        asked = {"oid": subject.live.oid, "column": column.name}
        partitioned = subject.spec.layout is None and "RANGE" in subject.spec.partitioned_by.split("(")[0]
        by = rows(connection, query("enums.ordered"), asked)
        if partitioned and any(found["kind"] == "partition_key" for found in by):
            yield blocker(
                "enum_partition",
                "the table is partitioned by range of it, and the enum's order would put other values into the ranges",
                hint="Remove the column from the plan, or change the table's partitioning.",
                table=subject.name,
                column=column.name,
            )
        indexes = [found["name"] for found in by if found["kind"] == "index"]
        if indexes:
            yield warning(
                "enum_order",
                f"{', '.join(indexes)} and every ORDER BY use the enum's order afterwards, not the alphabetical one",
                hint="Check that no query depends on the order, or on `<` and `>` between texts.",
                table=subject.name,
                column=column.name,
                indexes=indexes,
            )


def _expressions(connection: Connection, subject: Subject) -> Iterator[Finding]:
    """An expression that casts the column to text still works, and means the new text: this would stay unnoticed."""
    mapped = [column for column in subject.converted if column.words]
    for column in mapped:
        oids = [relation.oid for relation in subject.spec.relations]
        for found in rows(connection, query("enums.expressions"), {"oids": oids, "column": column.name}):
            if found["definition"] is None or index_of_values(found["definition"], [column]) != found["definition"]:
                continue
            texts = [text for text, _ in column.words if _names(found, text)]
            if texts:
                yield blocker(
                    "enum_spelling",
                    f"{found['what']} names {', '.join(map(repr, texts))}, which the plan maps to other values: on "
                    "the new table it would match nothing",
                    hint="Drop it before the run and create it again afterwards with the enum's values; or remove "
                    "the map (ALTER TYPE … RENAME VALUE can rename values later).",
                    table=subject.name,
                    column=column.name,
                    object=found["what"],
                )


def _names(found: dict[str, Any], text: str) -> bool:
    return "'" + text.replace("'", "''") + "'" in found["definition"]


def _torn(audited: PreparedRun) -> Iterator[Finding]:
    """Both ends of a foreign key become the same type, in the same spellings."""
    columns = {(s.live.oid, c.name): (s, c) for s in audited.subjects for c in s.converted}
    for key in audited.foreign_keys:
        for name, ref_name in zip(key.columns, key.ref_columns, strict=True):
            ends = [columns.get((key.table_oid, name)), columns.get((key.ref_oid, ref_name))]
            child, parent = ends
            if child is None or parent is None or not (child[1].enum or parent[1].enum):
                continue
            if _becomes(child[1]) != _becomes(parent[1]):
                yield blocker(
                    "enum_torn",
                    f"foreign key {key.name} joins it to {parent[0].name}.{parent[1].name}, and the plan gives the "
                    "two a different type or map",
                    hint="Set the same type and map for both columns.",
                    table=child[0].name,
                    column=child[1].name,
                    foreign_key=key.name,
                )


def _becomes(column: ColumnSpec) -> tuple[str, tuple[tuple[str, str], ...]]:
    return column.next_type, column.words
