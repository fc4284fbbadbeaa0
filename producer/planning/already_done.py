"""What of a plan a database has already: one plan serves databases of two shapes, and nothing is done twice.

A part is left out only where the catalogue proves that it is there. What it cannot prove stays in the plan and is done:
values of a column that may still be NULL, columns that are overwritten, triggers that are not ours.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from producer.planning.quarantine_scope import Planned, quarantining_tables
from producer.steps.enum_types import EnumType
from replank.plan.tables.partition_plan import PartitionPlan
from replank.plan.tables.table_plan import AddedColumnPlan, ColumnPlan, FilledColumnPlan, TablePlan
from replank.values.table_spec import Relation
from sql.catalogue import catalogue
from sql.catalogue.catalogue import ForeignKey, LiveColumn, LiveTable
from sql.catalogue.inheritance import links
from sql.catalogue.relations import same_type
from sql.next_table.on_update_trigger import function_name
from sql.session.connection import Connection, rows
from sql.session.named_queries import query

_SUFFIX = {"day": r"\d{4}_\d\d_\d\d", "week": r"\d{4}_w\d\d", "month": r"\d{4}_\d\d", "year": r"\d{4}"}
"""How `replank.periods.name_of` ends a partition's name."""


REBUILT = {"method": "rebuild"}


@dataclass(frozen=True, kw_only=True)
class Already:
    """A part of the plan that the table had before. `column` is empty for the table as a whole and its partitions.

    `differs` is what the plan says of it besides and the table has otherwise; nothing is done about that either.
    """

    table: str
    column: str
    words: str
    differs: str = ""
    remedy: str = ""

    @property
    def place(self) -> str:
        return f"{self.table}.{self.column}" if self.column else self.table

    @property
    def said(self) -> str:
        """For people: what is there, and how it differs."""
        return f"{self.words}; {self.differs}" if self.differs else self.words


@dataclass(frozen=True, kw_only=True)
class _TableProgress:
    """One table of the plan beside what is there."""

    connection: Connection
    planned: TablePlan
    live: LiveTable
    enums: Mapping[str, EnumType]
    updates: str
    """The source of the trigger that `on_update` makes; empty where it is not there."""

    def left(self) -> tuple[TablePlan, list[Already]]:
        """The table's part of the plan without what is there already, and what that is."""
        done: list[Already] = []
        columns = [column for column in self.planned.columns if not self._is_there(column, done)]
        added: list[AddedColumnPlan] = []
        fill = [
            filled.model_copy(update={"on_update": None}) if self._is_updated(filled) else filled
            for filled in self.planned.fill
            if not self._is_filled(filled, done)
        ]
        for column in self.planned.add:
            left = self._left_of_added(column, done)
            if isinstance(left, AddedColumnPlan):
                added.append(left)
            elif left is not None:
                fill.append(left)
        partition = self.planned.partition
        if partition is not None and self._is_partitioned(partition):
            done.append(self._done("", f"it is already {_partitioned(partition)}"))
            partition = None
        changed = {"columns": tuple(columns), "add": tuple(added), "fill": tuple(fill), "partition": partition}
        return self.planned.model_copy(update=changed), done

    def _done(self, column: str, words: str, *, differs: str = "", remedy: str = "") -> Already:
        return Already(table=self.planned.full_name, column=column, words=words, differs=differs, remedy=remedy)

    def _is_there(self, planned: ColumnPlan, done: list[Already]) -> bool:
        present = self.live.column(planned.name)
        if present is None or not self._has_type(planned, present):
            return False
        differs, remedy = "", ""
        if planned.default is not None and not _same(planned.default, present.present_default):
            differs = f"its default is {present.present_default or 'none'}, the plan wants {planned.default}"
            remedy = (
                f"To change it: ALTER TABLE {self.planned.full_name} ALTER COLUMN {planned.name} SET DEFAULT "
                f"{planned.default}"
            )
        done.append(self._done(planned.name, f"it is already {present.type}", differs=differs, remedy=remedy))
        return True

    def _has_type(self, planned: ColumnPlan, present: LiveColumn) -> bool:
        """Domains over the type hold its values, and are compared as it is."""
        if planned.type is not None:
            return present.type == self.enums[planned.type].spelled
        return planned.to in (present.base_name, present.base_type)

    def _is_filled(self, planned: FilledColumnPlan, done: list[Already]) -> bool:
        present = self.live.column(planned.name)
        if present is None or not planned.only_null or not self._holds(planned, present):
            return False
        if planned.name in self.live.key:
            return False  # A key is never filled: that is refused, not done.
        done.append(self._done(planned.name, "it has no NULL to fill"))
        return True

    def _holds(self, planned: FilledColumnPlan | AddedColumnPlan, present: LiveColumn) -> bool:
        """Whether the catalogue proves that the column has its values, its default, and its trigger."""
        return (
            present.not_null
            and (planned.default is None or _same(planned.default, present.present_default))
            and self._is_updated(planned)
        )

    def _is_updated(self, planned: FilledColumnPlan | AddedColumnPlan) -> bool:
        """Whether the trigger does what `on_update` asks for this column, or nothing is asked."""
        return planned.on_update is None or f'NEW."{planned.name}" :=' in self.updates

    def _left_of_added(
        self, planned: AddedColumnPlan, done: list[Already]
    ) -> AddedColumnPlan | FilledColumnPlan | None:
        """Itself where the table has no such column; the filling of one that is there; None where nothing is left."""
        present = self.live.column(planned.name)
        if present is None or not same_type(self.connection, planned.type, present.type):
            return planned
        if planned.unique and (planned.name,) not in self.live.unique and self.live.key != (planned.name,):
            return planned
        if self._holds(planned, present):
            done.append(self._done(planned.name, f"it already exists, {present.type} NOT NULL"))
            return None
        value = planned.value or planned.default
        if value is None:
            if planned.not_null or not self._is_updated(planned):
                return planned
            done.append(self._done(planned.name, f"it already exists, {present.type}"))
            return None
        if present.generated or planned.name in self.live.key:
            return planned
        done.append(self._done(planned.name, f"it already exists, {present.type}; it is filled where it is NULL"))
        return FilledColumnPlan(
            name=planned.name,
            value=value,
            stable=planned.stable,
            default=planned.default,
            not_null=planned.not_null,
            on_update=None if self._is_updated(planned) else planned.on_update,
        )

    def _is_partitioned(self, planned: PartitionPlan) -> bool:
        """By the same column in the same way, with partitions that bear the names which the plan's would have."""
        if planned.by == "none":
            return not self.live.partitioned
        key = catalogue.partition_key(self.connection, self.live.oid)
        if key.replace('"', "") != f"{planned.by.upper()} ({planned.column})":
            return False
        parts = catalogue.partitions(self.connection, self.live.oid)
        names = {part.name for part in parts}
        match planned.by:
            case "hash":
                return len(names) == planned.count
            case "list":
                there = {(part.name, *sorted(_bounds(part.bound))) for part in parts}
                wanted = planned.values.items()
                return all(
                    any(name.endswith(f"_{suffix}") and bounds == sorted(map(str, values)) for name, *bounds in there)
                    for suffix, values in wanted
                )
        if planned.every is None:
            # Spelled otherwise they are not known to be the same: then the table is partitioned as the plan says.
            ranges = {tuple(_bounds(part.bound)) for part in parts if part.bound != "DEFAULT"}
            return ranges == set(pairwise(map(str, planned.bounds)))
        ending = re.compile(rf"_{_SUFFIX[planned.every]}$")
        others = [name for name in names if not ending.search(name) and not name.endswith("_default")]
        return bool(names) and not others


def without_done(
    connection: Connection, tables: Sequence[tuple[int, TablePlan, LiveTable]], enums: Mapping[str, EnumType]
) -> tuple[list[tuple[int, TablePlan, LiveTable]], list[Already]]:
    """What is left to do of the plan's tables (each with its place in the file), and what is there already.

    A table of which nothing is left is not changed, unless another that changes takes it along: rows that are
    quarantined with those that they refer to, or inheritance. It is rebuilt as it is then.
    """
    tables_by_oid = {live.oid: planned for _, planned, live in tables}
    updates = _update_triggers(connection, [live for _, _, live in tables])
    left: list[tuple[int, TablePlan, LiveTable]] = []
    found: list[Already] = []
    for number, planned, live in tables:
        progress = _TableProgress(
            connection=connection, planned=planned, live=live, enums=enums, updates=updates.get(live.oid, "")
        )
        remaining, done = progress.left()
        left.append((number, remaining, live))
        found += done
    if not found:
        return list(tables), []
    idle = {
        live.oid
        for (_, before, live), (_, now, _) in zip(tables, left, strict=True)
        if not now.says_something and (before.says_something or live.kin)
    }
    along = _taken_along(connection, [(planned, live) for _, planned, live in left], idle)
    anything = any(planned.says_something for _, planned, _ in left)
    kept = []
    for number, planned, live in left:
        if anything and (live.oid not in idle or live.oid in along):
            kept.append((number, planned.model_copy(update=REBUILT) if live.oid in along else planned, live))
        elif not tables_by_oid[live.oid].says_something:
            words = "it is rebuilt only together with others, and none of these has anything to do"
            found.append(Already(table=planned.full_name, column="", words=words))
    return kept, found


def _taken_along(connection: Connection, tables: Sequence[Planned], idle: Collection[int]) -> frozenset[int]:
    """Those of the idle tables that are rebuilt for the sake of others."""
    keys: Sequence[ForeignKey] = catalogue.read_foreign_keys(connection, [live.oid for _, live in tables])
    along = set(quarantining_tables(tables, keys))
    busy = {live.oid for _, live in tables if live.oid not in idle} | along
    relatives = links(connection, [live.oid for _, live in tables if live.kin])
    while True:
        more = {oid for pair in relatives if not busy.isdisjoint(pair) for oid in pair} - busy
        if not more:
            return frozenset(busy & set(idle))
        busy |= more


def _update_triggers(connection: Connection, tables: Sequence[LiveTable]) -> dict[int, str]:
    """Oid → source of the function of the trigger whose name `on_update` gives, where a table has it."""
    names = [function_name(Relation(oid=live.oid, schema=live.schema, name=live.name)) for live in tables]
    found = rows(connection, query("relations.trigger_sources"), {"oids": [t.oid for t in tables], "names": names})
    return {each["oid"]: each["source"] for each in found}


def _same(planned: str, present: str | None) -> bool:
    """Whether two defaults say the same, up to blanks and the schema of the server's own functions."""
    return present is not None and _bare(planned) == _bare(present)


def _bare(expression: str) -> str:
    return re.sub(r"\s+|pg_catalog\.", "", expression).lower()


def _bounds(bound: str) -> list[str]:
    """The values in `FOR VALUES IN ('a', 2)` or `FOR VALUES FROM ('x') TO (MAXVALUE)`."""
    return [
        quoted.replace("''", "'") if quoted else plain
        for quoted, plain in re.findall(r"'((?:[^']|'')*)'|(?<=[(, ])([^\s(),']+)(?=[,)])", bound)
    ]


def _partitioned(planned: PartitionPlan) -> str:
    return "not partitioned" if planned.by == "none" else f"partitioned by {planned.by} ({planned.column})"
