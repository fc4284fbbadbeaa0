"""Keys and texts whose equality a run could not follow: refused by name."""

from __future__ import annotations

from collections.abc import Iterator

from producer.check.findings import Finding, blocker
from producer.planning.prepared_run import PreparedRun, Subject
from sql.catalogue.catalogue import LiveColumn


def audit_equality(audited: PreparedRun) -> list[Finding]:
    """Keys that compare otherwise than their types, and uuids that would be made of texts which are equal."""
    found: list[Finding] = []
    for subject in audited.subjects:
        if not subject.live.key and subject.live.unusable_keys:
            found.append(_unusable_keys(subject))
        found += _named_of_loose_texts(audited, subject)
    return found


def _unusable_keys(subject: Subject) -> Finding:
    names = ", ".join(subject.live.unusable_keys)
    return blocker(
        "key_equality",
        f"unique index {names} uses other operators or another collation than its columns' defaults, and the table "
        "has no other unique index on NOT NULL columns: changed rows cannot be identified",
        hint="Add a primary key, or a unique index with the columns' own collations and default operator classes; "
        "or remove the table from the plan.",
        table=subject.name,
        indexes=list(subject.live.unusable_keys),
    )


def _named_of_loose_texts(audited: PreparedRun, subject: Subject) -> Iterator[Finding]:
    """A uuid is made of a text's bytes, so texts that are equal in a collation would become two uuids."""
    for column in (c for c in subject.converted if c.on_invalid == "name_based"):
        loose = next(_loose_columns(audited, subject, column.name), None)
        if loose is None:
            continue
        yield blocker(
            "name_based_collation",
            f"name_based makes uuids of a text's bytes, and {loose} has a nondeterministic collation, which calls "
            "different texts equal: joins that match today would no longer match",
            hint=f"Change the column to a deterministic collation (ALTER TABLE … ALTER COLUMN {column.name} TYPE … "
            "COLLATE …), after making all equal texts the same; or choose another on_invalid.",
            table=subject.name,
            column=column.name,
        )


def _loose_columns(audited: PreparedRun, subject: Subject, name: str) -> Iterator[str]:
    """The column itself and those that foreign keys join with it, where their collation is nondeterministic."""
    joined = [(subject.live.oid, name)]
    for key in audited.foreign_keys:
        pairs = list(zip(key.columns, key.ref_columns, strict=True))
        joined += [(key.ref_oid, ref) for own, ref in pairs if (key.table_oid, own) == joined[0]]
        joined += [(key.table_oid, own) for own, ref in pairs if (key.ref_oid, ref) == joined[0]]
    for oid, column in joined:
        for other in (s for s in audited.subjects if s.live.oid == oid):
            found: LiveColumn | None = other.live.column(column)
            if found is not None and found.nondeterministic:
                yield f"{other.name}.{column}"
