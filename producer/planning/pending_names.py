"""Names that step 07 will give: a plan of the new names meets a database that still has the old ones.

`[[tables]]`, caches and expressions use the names that hold when phase 3 begins. Before step 07 has run, what they
name is looked up by its old name; what cannot be translated (SQL) is left out and checked when the scripts have run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from producer.planning.resolution import PlanFile
from producer.steps.mapped_names import mentions
from producer.steps.mappings import Renamed, renamed_tables
from replank.errors import WrongUse
from replank.plan.plan import Plan
from replank.plan.tables.table_plan import AddedColumnPlan, ColumnPlan, FilledColumnPlan, TablePlan
from sql.session.connection import Connection

Place = tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A part of the plan that cannot be looked at yet: `what` of a table names `names`."""

    table: str | None
    what: str
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class NamedNow:
    """The plan in the names of now, and what had to be left out of it."""

    file: PlanFile
    waiting: tuple[Waiting, ...] = ()


def named_now(connection: Connection, file: PlanFile) -> NamedNow:
    """The plan as the database is called at this moment. Raises WrongUse where it uses names that step 07 changes."""
    renamed = renamed_tables(connection, file.plan.steps)
    if not renamed:
        return NamedNow(file=file)
    translation = _Translation(file=file, renamed=renamed)
    tables = tuple(translation.table(number, table) for number, table in enumerate(file.plan.tables))
    caches = file.plan.caches
    names = sorted({name for cache in caches for name in translation.pending(cache.model_dump_json())})
    if names:
        # One may wait for another, so all of them do.
        caches = ()
        translation.waiting.append(Waiting(table=None, what="caches", names=tuple(names)))
    if translation.mistakes:
        raise WrongUse("\n".join(translation.mistakes))
    plan: Plan = file.plan.model_copy(update={"tables": tables, "caches": caches})
    return NamedNow(file=replace(file, plan=plan), waiting=tuple(translation.waiting))


@dataclass(kw_only=True)
class _Translation:
    """Back from the new names. Mistakes are for people and have their lines."""

    file: PlanFile
    renamed: list[Renamed]
    waiting: list[Waiting] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.by_new = {(one.table.schema, one.to): one for one in self.renamed}
        self.by_old = {(one.table.schema, one.table.name): one for one in self.renamed if one.to != one.table.name}
        pairs = [
            pair for one in self.renamed for pair in (*one.columns, (one.table.name, one.to)) if pair[0] != pair[1]
        ]
        self.names = {name for pair in pairs for name in pair}

    def pending(self, expression: str | None) -> list[str]:
        """The names in a piece of SQL that change, old and new ones alike."""
        return mentions(expression or "", self.names)

    def table(self, number: int, planned: TablePlan) -> TablePlan:
        """The part of a table."""
        key = (planned.table_schema, planned.name)
        if key in self.by_old:
            self._mistake(("tables", number, "name"), f"step 07 renames {planned.full_name} to {self.by_old[key].to}")
            return planned
        one = self.by_new.get(key)
        columns = {} if one is None else {new: old for old, new in one.columns}
        joins = [join for join in planned.join if not self._waits(planned, f"join {join.name}", join.query, join.on)]
        gone = {join.name for join in planned.join} - {join.name for join in joins}
        made: dict[str, Any] = {
            "name": planned.name if one is None else one.table.name,
            "join": tuple(joins),
            "columns": tuple(self._columns(number, planned, columns)),
            "add": tuple(self._added(number, planned, columns, gone)),
            "fill": tuple(self._filled(number, planned, columns, gone)),
        }
        partition = planned.partition
        if partition is not None and partition.column is not None:
            column = self._old(("tables", number, "partition", "column"), columns, partition.column)
            made["partition"] = partition.model_copy(update={"column": column})
        if not (made["columns"] or made["add"] or made["fill"] or partition):
            made["method"] = "rebuild"
        return planned.model_copy(update=made)

    def _columns(self, number: int, planned: TablePlan, columns: Mapping[str, str]) -> Iterator[ColumnPlan]:
        for n, column in enumerate(planned.columns):
            name = self._old(("tables", number, "columns", n, "name"), columns, column.name)
            waits = self._waits(planned, f"default of {column.name}", column.default)
            yield column.model_copy(update={"name": name, "default": None if waits else column.default})

    def _added(
        self, number: int, planned: TablePlan, columns: Mapping[str, str], gone: Collection[str]
    ) -> Iterator[AddedColumnPlan]:
        for n, added in enumerate(planned.add):
            if added.name in columns:
                where: Place = ("tables", number, "add", n, "name")
                self._mistake(
                    where, f"step 07 renames column {columns[added.name]} to this name; fill it instead of adding it"
                )
            expressions = (added.value, added.default, added.on_update)
            if self._waits(planned, f"value of {added.name}", *expressions) or mentions(added.value or "", gone):
                bare = {"value": None, "default": None, "on_update": None, "not_null": False}
                yield added.model_copy(update=bare)
            else:
                yield added

    def _filled(
        self, number: int, planned: TablePlan, columns: Mapping[str, str], gone: Collection[str]
    ) -> Iterator[FilledColumnPlan]:
        """Places of later mistakes are counted by these, so one that waits keeps its place with its own value."""
        for n, filled in enumerate(planned.fill):
            name = self._old(("tables", number, "fill", n, "name"), columns, filled.name)
            expressions = (filled.value, filled.default, filled.on_update)
            if self._waits(planned, f"value of {filled.name}", *expressions) or mentions(filled.value, gone):
                own = _own_value(name)
                yield filled.model_copy(update={"name": name, "value": own, "default": None, "on_update": None})
            else:
                yield filled.model_copy(update={"name": name})

    def _waits(self, planned: TablePlan, what: str, *expressions: str | None) -> bool:
        names = sorted({name for expression in expressions for name in self.pending(expression)})
        if names:
            self.waiting.append(Waiting(table=planned.full_name, what=what, names=tuple(names)))
        return bool(names)

    def _old(self, where: Place, columns: Mapping[str, str], name: str) -> str:
        """The present name of a column."""
        changed = {old: new for new, old in columns.items()}
        if name in changed:
            self._mistake(where, f"step 07 renames column {name} to {changed[name]}")
        return columns.get(name, name)

    def _mistake(self, where: Place, words: str) -> None:
        self.mistakes.append(f"{self.file.at(*where)}: {words}: use the names after step 07")


def _own_value(column: str) -> str:
    quoted = column.replace('"', '""')
    return f'live."{quoted}"'
