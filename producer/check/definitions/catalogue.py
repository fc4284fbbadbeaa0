"""What the catalogue says against the plan: objects that would be lost, keys torn apart, names taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from producer.check.findings import Finding, blocker, warning
from producer.planning.prepared_run import PreparedRun, Subject
from replank.values.table_spec import Relation
from sql.catalogue import fingerprints
from sql.catalogue.catalogue import ForeignKey
from sql.catalogue.dependents import read_dependents
from sql.ledger.runs import runs
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection, rows
from sql.session.named_queries import query


def audit_catalogue(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """All of it; cheap."""
    open_run = runs.open_run(connection)
    dependents = read_dependents(connection, [subject.spec for subject in audited.subjects])
    replaced = frozenset(dependents.oids)
    found: list[Finding] = []
    rebuilt = [subject.live.oid for subject in audited.subjects if subject.spec.method != "backfill"]
    lost = fingerprints.not_carried(connection, rebuilt, replaced=replaced)
    for subject in audited.subjects:
        found += _shape(connection, subject, lost.get(subject.live.oid, []))
        found += _names(connection, subject.spec.relations, subject.name, open_run)
    found += _names(connection, dependents.views, None, open_run)
    for key in audited.foreign_keys:
        found += _torn(audited, key)
    if open_run is not None:
        found.append(_run_open(audited, open_run))
    return found


def _shape(connection: Connection, subject: Subject, lost: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    live = subject.live
    if live.is_partition:
        yield blocker(
            "partition",
            f"{subject.name} is a partition; only whole partitioned tables are rebuilt",
            hint="Name the partitioned table in the plan instead.",
            table=subject.name,
        )
    if not live.key and not live.unusable_keys:
        yield blocker(
            "no_key",
            "the table has no primary key and no unique index on NOT NULL columns, so changed rows cannot be "
            "identified",
            hint="Add a primary key, or remove the table from the plan.",
            table=subject.name,
        )
    if subject.spec.method == "backfill":
        return
    yield from _domains(subject)
    for what, name in lost:
        yield blocker(
            "not_carried",
            f"{what}: {name}; this version cannot carry it over to the new table",
            hint="Drop it before the run and create it again afterwards, or remove the table from the plan.",
            table=subject.name,
            object=name,
            kind=what,
        )
    going = () if subject.spec.layout is None else subject.spec.partitions
    for name in fingerprints.carried(connection, [relation.oid for relation in going]):
        yield blocker(
            "not_carried",
            f"{name}: it belongs to a partition that the plan removes",
            hint="Drop it before the run.",
            table=subject.name,
            object=name,
            kind="partition",
        )
    invalid = query("catalogue.invalid_indexes")
    for index in (i for r in subject.spec.relations for i in rows(connection, invalid, {"oid": r.oid})):
        yield warning(
            "invalid_index",
            f"index {index['name']} is invalid, probably after a failed CREATE INDEX CONCURRENTLY; it is not built "
            "on the new table",
            hint="Drop it, or rebuild it with REINDEX INDEX CONCURRENTLY if it is needed.",
            table=subject.name,
            index=index["name"],
        )


def _domains(subject: Subject) -> Iterator[Finding]:
    """A column that becomes uuid leaves its domain: NOT NULL and default go with it, CHECKs over text cannot."""
    planned = {column.name: column for column in subject.planned.columns}
    for live in (live for live in subject.live.columns if live.name in planned and live.is_domain):
        becomes = planned[live.name].type or planned[live.name].to
        message = f"its type is the domain {live.type}, and it becomes plain {becomes}"
        if live.domain_checks and "domain_checks" not in planned[live.name].consent:
            yield blocker(
                "domain_checks_lost",
                f"{message}: {'; '.join(live.domain_checks)} would be lost",
                hint='Set consent = ["domain_checks"] at the column to accept this.',
                table=subject.name,
                column=live.name,
                domain=live.type,
            )
        else:
            gone = f", without {'; '.join(live.domain_checks)}" if live.domain_checks else ""
            yield warning(
                "domain_left",
                f"{message}{gone}; NOT NULL and default stay",
                hint="Check functions and casts that use the domain: they do not apply to the column any more.",
                table=subject.name,
                column=live.name,
                domain=live.type,
            )


def _names(
    connection: Connection, relations: Sequence[Relation], table: str | None, open_run: Run | None
) -> Iterator[Finding]:
    """Of a table and its partitions, or (`table` is None) of the views that are carried over."""
    if open_run is not None:
        # Its own next tables are there by right; check says `run_open` instead.
        return
    taken_names = query("audit.taken_names")
    needed = [{"oid": r.oid, "schemas": [r.next_schema, r.past_schema]} for r in relations]
    for taken in (found for names in needed for found in rows(connection, taken_names, names)):
        yield blocker(
            "name_taken",
            f"{taken['schema']}.{taken['name']} already exists, and the run needs this name",
            hint="It is left over from an earlier run. Check whether its rows are needed, then drop or rename it.",
            table=table,
            object=f"{taken['schema']}.{taken['name']}",
        )


def _torn(audited: PreparedRun, key: ForeignKey) -> Iterator[Finding]:
    """`uuid = text` has no operator: both ends of a foreign key change, or neither."""
    child = f"{key.schema}.{key.table_name}"
    parent = f"{key.ref_schema}.{key.ref_table}"
    for column, ref_column in zip(key.columns, key.ref_columns, strict=True):
        child_changes = audited.converts(key.table_oid, column)
        if child_changes == audited.converts(key.ref_oid, ref_column):
            continue
        planned, missing = (child, column), (parent, ref_column)
        if not child_changes:
            planned, missing = missing, planned
        became = next(c.next_type for s in audited.subjects for c in s.converted if (s.name, c.name) == planned)
        yield blocker(
            "foreign_key_torn",
            f"foreign key {key.name} of {child} joins {'.'.join(planned)}, which becomes {became}, and "
            f"{'.'.join(missing)}, which is not in the plan: there is no operator {became} = text",
            hint=f"Add column {missing[1]} of table {missing[0]} to the plan, or remove {'.'.join(planned)} from it.",
            table=planned[0],
            column=planned[1],
            foreign_key=key.name,
            missing={"table": missing[0], "column": missing[1]},
        )


def _run_open(audited: PreparedRun, run: Run) -> Finding:
    same = run.plan_digest == audited.file.plan.digest()
    return warning(
        "run_open",
        f"run {run.run_id} of {'this plan' if same else 'plan ' + run.plan_name} is open on this database "
        f"({run.state})",
        hint="Continue it with `replank run` and its plan, or roll it back with `replank rollback`.",
        run_id=run.run_id,
    )
