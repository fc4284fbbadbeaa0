"""What the application's own INSERTs will meet in columns that the plan adds or fills."""

from __future__ import annotations

from collections.abc import Iterator

from producer.check.findings import Finding, warning
from producer.planning.prepared_run import PreparedRun, Subject

HINT = "Give it a default, or let every client write it before the run starts."
FAILS = "afterwards an INSERT or UPDATE with such a text fails"
FATES = {
    "name_based": "existing rows get uuids made of their texts; afterwards an INSERT with such a text (a cuid) fails",
    "null": f"existing texts that are {{no}} become NULL; {FAILS}",
}
VALUES_HINT = "Before the cutover, let every client send values of the type."
NAMED_HINT = "Before the cutover, let every client generate uuids or use the column's default."


def audit_new_writes(audited: PreparedRun) -> list[Finding]:
    """Columns that new rows cannot fill: NOT NULL without a default, or a new type where clients send other texts."""
    return [
        finding for subject in audited.subjects for finding in (*_of_table(subject), *_of_made_texts(audited, subject))
    ]


def _of_made_texts(audited: PreparedRun, subject: Subject) -> Iterator[Finding]:
    """Columns whose invalid texts become something else now, and whose new type will refuse them.

    One that refers to another table's gets what was read there. Quarantined rows are named as they are counted.
    """
    referring = {name for key in audited.foreign_keys if key.table_oid == subject.live.oid for name in key.columns}
    for column in subject.converted:
        if column.on_invalid not in FATES or column.name in referring:
            continue
        if column.on_invalid == "name_based" and subject.live.key != (column.name,):
            # Elsewhere it follows an id that is made in another table.
            continue
        no = f"not a value of {column.next_type}" if column.enum else "not a uuid"
        yield warning(
            "new_texts_must_be_values" if column.enum else "new_ids_must_be_uuids",
            FATES[column.on_invalid].format(no=no),
            hint=VALUES_HINT if column.enum else NAMED_HINT,
            table=subject.name,
            column=column.name,
        )


def _of_table(subject: Subject) -> Iterator[Finding]:
    wanted = [column.name for column in subject.planned.add if column.not_null and column.default is None]
    for filled in (filled for filled in subject.planned.fill if filled.not_null and filled.default is None):
        live = subject.live.column(filled.name)
        # One that may not be NULL today is written by the application already.
        if live is not None and not live.not_null and live.default_expr is None:
            wanted.append(filled.name)
    for name in wanted:
        words = "will be NOT NULL without a default: then an INSERT that does not set it fails"
        yield warning("not_null_without_default", words, hint=HINT, table=subject.name, column=name)
