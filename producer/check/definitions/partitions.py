"""What a table loses when it is repartitioned, and which rows the new partitions are not for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from psycopg import errors

from producer.check.findings import Finding, blocker, warning
from producer.planning.prepared_run import PreparedRun, Subject
from producer.planning.repartition import lost_keys, strays
from replank.plan.tables.partition_plan import PartitionPlan
from replank.values.table_spec import building_schema
from replank.wording import counted, verb
from sql.next_table.foreign_keys import NOT_VALID_ON_PARTITIONED
from sql.next_table.index_selection import Wanted, wanted_indexes
from sql.session.connection import Connection, rows, value
from sql.session.named_queries import query
from sql.session.server_message import without_rows

LOCKS_OF_A_HEAP = 3
"""A new table with its TOAST table and that one's index, all in one transaction."""

SHARE_OF_LOCKS = 0.7
"""Others need locks too."""


def audit_partitions(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """All of it for the tables that the plan repartitions. Reads their partition column."""
    subjects = [subject for subject in audited.subjects if subject.spec.layout is not None]
    found: list[Finding] = []
    for subject in subjects:
        plan = subject.planned.partition
        assert plan is not None
        found += _only_on_partitions(connection, subject)
        if subject.spec.next_partitioned:
            wanted = _wanted(connection, subject)
            found += _uniqueness(subject, plan, wanted)
            found += _locks(connection, subject, wanted)
            if subject in audited.readable:
                found += _strays(connection, subject, plan)
    found += _names(connection, audited, subjects)
    found += _lost_keys(audited)
    found += _not_valid(audited)
    return found


def _wanted(connection: Connection, subject: Subject) -> list[Wanted]:
    assert subject.spec.layout is not None
    return wanted_indexes(connection, subject.spec, subject.spec.layout)


def _only_on_partitions(connection: Connection, subject: Subject) -> Iterator[Finding]:
    oids = [partition.oid for partition in subject.spec.partitions]
    for one in rows(connection, query("layout.only_on_partitions"), {"oids": oids}):
        yield blocker(
            "only_on_partition",
            f"{one['what']} {one['object']} belongs to a single partition, which the run removes",
            hint="Drop it before the run. If it is needed, create it on the partitioned table.",
            table=subject.name,
            object=one["object"],
            kind=one["what"],
        )


def _uniqueness(subject: Subject, plan: PartitionPlan, wanted: list[Wanted]) -> Iterator[Finding]:
    for one in wanted:
        if one.parent.whole_constraint is not None:
            yield blocker(
                "exclusion_lost",
                f"constraint {one.parent.constraint_name} excludes rows across partitions, which PostgreSQL cannot "
                "enforce",
                hint="Drop it before the run, or remove the partitioning from the plan.",
                table=subject.name,
                object=one.parent.name,
            )
    lost = [one.parent.name for one in wanted if one.lost]
    names = ", ".join(lost)
    if lost and "uniqueness" not in plan.consent:
        yield blocker(
            "uniqueness_lost",
            f"unique without the partition column {plan.column}: {names}. PostgreSQL enforces uniqueness only within "
            "each partition",
            hint='Partition by a column of the key, or set consent = ["uniqueness"]: then constraints get the '
            "column appended, and other unique indexes become ordinary ones.",
            table=subject.name,
            indexes=lost,
        )
    elif lost:
        yield warning(
            "uniqueness_lost",
            f"no longer unique without {plan.column}: {names}; the plan accepts this",
            hint="Check that the application does not depend on it (ON CONFLICT needs a unique index on its columns).",
            table=subject.name,
            indexes=lost,
        )
    column = subject.live.column(plan.column or "")
    filled = next((c for c in subject.spec.columns if c.name == plan.column), None)
    nullable = not (column is not None and column.not_null) and not (filled is not None and filled.not_null)
    if nullable and any(one.lost and one.parent.constraint_type == "p" for one in wanted):
        yield blocker(
            "null_partition_key",
            f"{plan.column} becomes part of the primary key, which needs NOT NULL, and it allows NULL",
            hint="Fill it with not_null = true in the same plan, or set it NOT NULL before the run.",
            table=subject.name,
            column=plan.column,
        )


def _locks(connection: Connection, subject: Subject, wanted: list[Wanted]) -> Iterator[Finding]:
    room = int(value(connection, query("layout.lock_table")))
    needed = len(subject.spec.next_heaps) * (LOCKS_OF_A_HEAP + len(wanted))
    if needed > SHARE_OF_LOCKS * room:
        yield blocker(
            "locks_short",
            f"{counted(len(subject.spec.next_heaps), 'partition')} with their indexes need about "
            f"{counted(needed, 'lock')} in one transaction; the server allows {room}",
            hint="Use fewer partitions, or raise max_locks_per_transaction and restart the server.",
            table=subject.name,
            needed=needed,
            room=room,
        )


def _strays(connection: Connection, subject: Subject, plan: PartitionPlan) -> Iterator[Finding]:
    try:
        found = strays(connection, subject.planned, subject.spec)
    except errors.OperationalError:
        raise
    except errors.DatabaseError as error:
        yield blocker(
            "partition_values",
            f"the rows could not be compared with the partitions' bounds: {without_rows(error)}",
            hint="Bounds and values must be of the column's type.",
            table=subject.name,
            column=plan.column,
        )
        return
    if found is None:
        return
    if plan.outside == "refuse" and found.outside + found.nulls:
        yield blocker(
            "outside_rows",
            f"{counted(found.outside, 'row', 'is')} outside all partitions, and {found.nulls} "
            f"{verb(found.nulls, 'has')} NULL there",
            hint='Change the bounds, or set outside = "default".',
            table=subject.name,
            column=plan.column,
            rows=found.outside,
            nulls=found.nulls,
        )
        return
    if found.nulls and "nulls" not in plan.consent:
        yield blocker(
            "null_partition_key",
            f"{counted(found.nulls, 'row', 'has')} NULL there: all of them would go to the DEFAULT partition",
            hint='Fill the column in the same plan, or set consent = ["nulls"].',
            table=subject.name,
            column=plan.column,
            nulls=found.nulls,
        )
    if found.outside:
        yield warning(
            "outside_rows",
            f"{counted(found.outside, 'row', 'is')} outside all partitions and would go to the DEFAULT partition",
            hint="Queries that do not exclude it will scan it too. If that is not intended, change the bounds.",
            table=subject.name,
            column=plan.column,
            rows=found.outside,
        )


def _names(connection: Connection, audited: PreparedRun, subjects: list[Subject]) -> Iterator[Finding]:
    """Names of new partitions and their indexes: free in the live schema, or the run's own and moving away."""
    wanted: dict[tuple[str, str], str] = {}
    every: Counter[tuple[str, str]] = Counter()
    for subject in subjects:
        names = [relation.name for relation in subject.spec.next_relations[1:]]
        if subject.spec.next_partitioned:
            for one in _wanted(connection, subject):
                names += [part.name for part in one.parts(subject.spec.next_heaps)]
        for name in names:
            every[subject.spec.schema, name] += 1
            wanted[subject.spec.schema, name] = subject.name
    moving = audited.relation_oids
    for schema in sorted({schema for schema, _ in wanted}):
        names = sorted(name for where, name in wanted if where == schema)
        for place in (schema, building_schema("replank_next", schema)):
            asked = {"schema": place, "names": names, "moving": moving}
            for taken in rows(connection, query("layout.names_in_use"), asked):
                yield _taken(f"{place}.{taken['name']} already exists", wanted[schema, taken["name"]])
    for (schema, name), times in every.items():
        if times > 1:
            yield _taken(f"{schema}.{name} is needed {times} times", wanted[schema, name])


def _taken(words: str, table: str) -> Finding:
    return blocker(
        "name_taken",
        f"{words}, and a new partition or its index needs that name",
        hint="Drop or rename the object.",
        table=table,
    )


def _lost_keys(audited: PreparedRun) -> Iterator[Finding]:
    plans = {subject.live.oid: subject.planned.partition for subject in audited.subjects}
    for lost in lost_keys([subject.spec for subject in audited.subjects], audited.foreign_keys):
        plan, key = plans[lost.spec.oid], lost.key
        given = plan is not None and "foreign_keys" in plan.consent
        told = (
            f"foreign key {key.name} of {key.schema}.{key.table_name} leads to ({', '.join(key.ref_columns)}), which "
            "will not be unique any more"
        )
        if given:
            yield warning(
                "foreign_keys_lost",
                f"{told}; the swap drops it, as the plan allows",
                hint="From then on the application has to keep these references valid.",
                table=lost.spec.full_name,
                foreign_key=key.name,
            )
        else:
            yield blocker(
                "foreign_keys_lost",
                told,
                hint='Partition by a column of that key, or set consent = ["foreign_keys"]: then the swap drops it.',
                table=lost.spec.full_name,
                foreign_key=key.name,
            )


def _not_valid(audited: PreparedRun) -> Iterator[Finding]:
    """A key that rows may break: a partitioned table can have one only from version 18 on."""
    names = {s.live.oid: s.name for s in audited.subjects if s.spec.layout is not None and s.spec.next_partitioned}
    if audited.server.version >= NOT_VALID_ON_PARTITIONED:
        return
    for key in audited.foreign_keys:
        if key.table_oid in names and not key.validated:
            yield blocker(
                "foreign_key_not_valid",
                f"foreign key {key.name} is NOT VALID, which PostgreSQL supports on a partitioned table from version "
                "18 on",
                hint="Validate it, or drop it before the run.",
                table=names[key.table_oid],
                foreign_key=key.name,
            )
