"""A plan that has met its database: looked up once, by one function, for everything that is done with it afterwards.

`check` audits it, `run` begins with it, `compile` and a review make its scripts, a fleet asks whether it could begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from producer.planning.already_done import Already
from producer.planning.foreign_code import ForeignCode, find_foreign_code
from producer.planning.pending_names import NamedNow, Waiting, named_now
from producer.planning.quarantine_scope import with_quarantine
from producer.planning.resolution import PlanFile, Resolved, resolve
from producer.planning.table_specs import table_spec
from replank.plan.plan import Plan
from replank.plan.tables.table_plan import TablePlan
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.catalogue import catalogue
from sql.catalogue.catalogue import ForeignKey, LiveTable, Server
from sql.catalogue.fingerprints import shapes
from sql.checks.sampling import readable_tables
from sql.session.connection import Connection


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A planned table as it is and as it is to be. Without a key, `spec.key` is empty."""

    planned: TablePlan
    live: LiveTable
    spec: TableSpec

    @property
    def name(self) -> str:
        return self.live.full_name

    @property
    def converted(self) -> tuple[ColumnSpec, ...]:
        return tuple(column for column in self.spec.columns if column.converted)

    def becomes(self, column: str) -> str:
        """The type that a column has when the run is done."""
        return next(c.next_type for c in self.spec.columns if c.name == column)


@dataclass(frozen=True, kw_only=True)
class PreparedRun:
    """What a run of the plan works from. Objects are numbered as those of run 0."""

    said: PlanFile
    """The plan as it was written."""
    file: PlanFile
    """The plan in the names that the database has now, without what waits for step 07."""
    waiting: tuple[Waiting, ...]
    server: Server
    subjects: tuple[Subject, ...]
    foreign_keys: tuple[ForeignKey, ...]
    already: tuple[Already, ...]
    """What of the plan the database had before: nothing is done about it."""
    foreign_code: ForeignCode | None
    """Functions of others that the plan trusts."""
    readable_oids: frozenset[int]

    @property
    def plan(self) -> Plan:
        """The plan in the names of now."""
        return self.file.plan

    @property
    def readable(self) -> tuple[Subject, ...]:
        """The tables whose rows we may read; for the others there is a `no_privilege`."""
        return tuple(s for s in self.subjects if s.live.oid in self.readable_oids)

    @property
    def relation_oids(self) -> list[int]:
        """The tables and their partitions."""
        return [relation.oid for subject in self.subjects for relation in subject.spec.relations]

    @property
    def oids(self) -> list[int]:
        return [subject.live.oid for subject in self.subjects]

    @property
    def specs(self) -> list[TableSpec]:
        """The tables as a run builds them, in the order of the subjects: with what the plan consents to and no more.

        Only for a plan that nothing was found against: every one of them has a key.
        """
        gives_up = self.plan.options.gives_up_patterns
        plain = [replace(subject.spec, plain_patterns=gives_up) for subject in self.subjects]
        return with_quarantine(plain, [(s.planned, s.live) for s in self.subjects], self.foreign_keys)

    def converts(self, oid: int, column: str) -> bool:
        """Whether the plan changes this column's type."""
        return any(s.live.oid == oid and any(c.name == column for c in s.converted) for s in self.subjects)

    def gives_new_ids(self, oid: int, column: str) -> bool:
        """Whether texts of this column that are no uuids become other ids."""
        return any(
            s.live.oid == oid and any(c.name == column and c.on_invalid == "name_based" for c in s.converted)
            for s in self.subjects
        )

    def has(self, oid: int) -> bool:
        return oid in self.oids


def prepare_run(connection: Connection, file: PlanFile, *, scripts_have_run: bool = False) -> PreparedRun:
    """Look everything up; nothing is written. `scripts_have_run`: the names that the plan uses hold by now.

    Raises WrongUse with a line for every mistake of the plan, ForeignCodeRefused where a look at the tables would
    execute functions of others.
    """
    now = NamedNow(file=file) if scripts_have_run else named_now(connection, file)
    resolved = resolve(connection, now.file)
    # Before any table is read: even the plan of a query may evaluate parts of an index's predicate.
    foreign_code = find_foreign_code(connection, now.file.plan, resolved)
    return PreparedRun(
        said=file,
        file=now.file,
        waiting=now.waiting,
        server=catalogue.read_server(connection),
        subjects=tuple(_subjects(connection, resolved)),
        foreign_keys=resolved.foreign_keys,
        already=resolved.already,
        foreign_code=foreign_code,
        readable_oids=frozenset(readable_tables(connection, trusting=now.file.plan.options.trusts_functions)),
    )


def _subjects(connection: Connection, resolved: Resolved) -> Sequence[Subject]:
    """Every table has a spec, one without a key too: so the check goes on to look at the others."""
    subjects = []
    found = shapes(connection, [live.oid for _, live in resolved.tables])
    for number, ((planned, live), shape) in enumerate(zip(resolved.tables, found, strict=True), start=1):
        stand_in = live if live.key else replace(live, key=(live.columns[0].name,))
        # Whether the plan says so or not: without its consent they are named once, and the trial goes on without them.
        spec = table_spec(
            connection,
            planned,
            stand_in,
            shape=shape,
            run_id=0,
            table_no=number,
            enums=resolved.enums,
            plain_patterns=True,
        )
        subjects.append(Subject(planned=planned, live=live, spec=spec if live.key else replace(spec, key=())))
    return subjects
