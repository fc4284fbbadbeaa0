"""Classic inheritance against the plan: a family is rebuilt together, and what a child inherits becomes the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from producer.check.findings import Finding, blocker
from producer.check.trial.attempt import attempt
from producer.planning.prepared_run import PreparedRun, Subject
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.catalogue.inheritance import analyze_families, families, link_next, links
from sql.session.connection import Connection
from sql.session.statements import Statement


def audit_families(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """Members that the plan does not name, columns that would differ, members that are to be partitioned."""
    kin = {subject.live.oid: subject for subject in audited.subjects if subject.live.kin}
    if not kin:
        return []
    found = [*_missing(connection, kin)]
    for child, parent in links(connection, kin):
        found += _torn(kin[child], kin[parent])
    for subject in (s for s in kin.values() if s.spec.layout is not None):
        found.append(
            blocker(
                "family_partitioned",
                f"{subject.name} takes part in inheritance, which is impossible for a partitioned table",
                hint="Remove the partitioning from the plan, or end the inheritance first (ALTER TABLE … NO INHERIT).",
                table=subject.name,
            )
        )
    return found


def _missing(connection: Connection, kin: Mapping[int, Subject]) -> Iterator[Finding]:
    """One blocker for each family, at its first table of the plan."""
    told: set[int] = set()
    for oid, members in families(connection, kin).items():
        missing = [member for member in members if member.oid not in kin]
        if oid in told or not missing:
            continue
        told |= {member.oid for member in members}
        names = ", ".join(m.full_name + (f" ({m.what})" if m.what else "") for m in missing)
        hint = 'Add them: [[tables]] with a name and method = "rebuild" is enough.'
        if any(member.what for member in missing):
            hint = "End the inheritance before the run (ALTER TABLE … NO INHERIT) and add it again afterwards."
        yield blocker(
            "family_incomplete",
            f"inheritance joins {kin[oid].name} to {names}, which the plan does not contain: tables joined by "
            "inheritance are rebuilt together",
            hint=hint,
            table=kin[oid].name,
            missing=[member.full_name for member in missing],
        )


def _torn(child: Subject, parent: Subject) -> Iterator[Finding]:
    """A column that is inherited has one type in all of the family, and one that a parent gets its children get too."""
    own: Mapping[str, ColumnSpec] = {column.name: column for column in child.spec.columns}
    for column in parent.spec.columns:
        inherited = own.get(column.name)
        if inherited is not None and inherited.next_type == column.next_type:
            continue
        becomes = f"becomes {column.next_type}" if column.converted else f"is {column.next_type}"
        there = "would not have it" if inherited is None else f"would have it as {inherited.next_type}"
        yield blocker(
            "family_torn",
            f"{parent.name}.{column.name} {becomes}, and {child.name}, which inherits it, {there}",
            hint="Change this column in the same way in both tables of the plan.",
            table=child.name,
            column=column.name,
            parent=parent.name,
        )


def try_links(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """Next tables that stand, empty, inherit from each other. The caller rolls its transaction back."""
    specs = [subject.spec for subject in audited.subjects if subject.spec.kin]
    if not specs:
        return []
    failed = attempt(connection, None, "the inheritance between the next tables", _links(connection, specs))
    return [] if failed is None else [failed]


def _links(connection: Connection, specs: Sequence[TableSpec]) -> Iterator[Statement]:
    yield from link_next(connection, specs)
    yield from analyze_families(connection, specs)
