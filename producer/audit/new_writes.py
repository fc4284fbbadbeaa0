"""What the application's own INSERTs will meet in columns that the plan adds or fills."""

from __future__ import annotations

from collections.abc import Iterator

from producer.audit.findings import Audited, Finding, Subject, warning

HINT = "Give it a default, or see that every client writes it before the run begins."
NAMED_HINT = "Let every client make uuids (or leave the column to its default) by the time of the cutover."


def audit_new_writes(audited: Audited) -> list[Finding]:
    """Columns that new rows cannot fill: NOT NULL without a default, or a uuid where clients make other texts."""
    return [finding for subject in audited.subjects for finding in (*_of_table(subject), *_of_made_ids(subject))]


def _of_made_ids(subject: Subject) -> Iterator[Finding]:
    """Only where the ids are made: a column that refers to another table's gets what was read there."""
    for column in subject.planned.columns:
        if column.on_invalid == "name_based" and subject.live.key == (column.name,):
            words = (
                "rows that are there get uuids made of their texts; afterwards an INSERT of such a text (a cuid) fails"
            )
            yield warning("new_ids_must_be_uuids", words, hint=NAMED_HINT, table=subject.name, column=column.name)


def _of_table(subject: Subject) -> Iterator[Finding]:
    wanted = [column.name for column in subject.planned.add if column.not_null and column.default is None]
    for filled in (filled for filled in subject.planned.fill if filled.not_null and filled.default is None):
        live = subject.live.column(filled.name)
        # One that may not be NULL today is written by the application already.
        if live is not None and not live.not_null and live.default_expr is None:
            wanted.append(filled.name)
    for name in wanted:
        words = "will be NOT NULL without a default: an INSERT that does not name it fails as soon as the table is done"
        yield warning("not_null_without_default", words, hint=HINT, table=subject.name, column=name)
