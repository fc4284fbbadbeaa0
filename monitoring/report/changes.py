"""What is different since before the run: tables and columns for the documentation, rights for the security review."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from replank.plan.steps.mappings_plan import MappingsPlan
from replank.values.measurement import MeasuredColumn, MeasuredTable, SecurityFact

Change = Literal["", "new", "gone", "changed"]


@dataclass(frozen=True, kw_only=True)
class ColumnChange:
    """A column before and now; each in words, empty where it is not there."""

    name: str
    before: str
    after: str
    comment: str
    change: Change


@dataclass(frozen=True, kw_only=True)
class TableChange:
    """A table with all its columns. `after` is None where it is gone."""

    name: str
    before: MeasuredTable | None
    after: MeasuredTable | None
    columns: tuple[ColumnChange, ...]

    @property
    def change(self) -> Change:
        if self.before is None:
            return "new"
        if self.after is None:
            return "gone"
        return "changed" if any(c.change for c in self.columns) or self.was_partitioned else ""

    @property
    def was_partitioned(self) -> bool:
        """Whether it has partitions now and had none."""
        return bool(self.before and self.after and self.after.partitions and not self.before.partitions)


@dataclass(frozen=True, kw_only=True)
class RightChange:
    """Something about rights that is new, gone or another."""

    what: str
    name: str
    before: str
    after: str


def table_changes(
    before: Sequence[MeasuredTable], after: Sequence[MeasuredTable], mappings: MappingsPlan | None = None
) -> list[TableChange]:
    """Every table there was or is, in the order of names: of the names that step 07 gives, where it has run."""
    new = {t.full_name: t for t in after}
    old = {t.full_name: t for t in (_renamed(table, new, mappings) for table in before)}
    return [
        TableChange(
            name=name,
            before=old.get(name),
            after=new.get(name),
            columns=tuple(_column_changes(old.get(name), new.get(name))),
        )
        for name in sorted(old.keys() | new.keys())
    ]


def _renamed(table: MeasuredTable, after: Mapping[str, MeasuredTable], mappings: MappingsPlan | None) -> MeasuredTable:
    """A table of before under its name of now."""
    if mappings is None:
        return table
    to = table.name if table.full_name in after else mappings.table_to(table.schema, table.name)
    now = after.get(f"{table.schema}.{to}")
    if now is None:
        return table
    there = {column.name for column in now.columns}
    columns = tuple(
        c if c.name in there else replace(c, name=mappings.column_to(table.schema, table.name, c.name))
        for c in table.columns
    )
    return replace(table, name=to, columns=columns)


def _column_changes(before: MeasuredTable | None, after: MeasuredTable | None) -> Iterator[ColumnChange]:
    old: Mapping[str, MeasuredColumn] = {c.name: c for c in before.columns} if before else {}
    new: Mapping[str, MeasuredColumn] = {c.name: c for c in after.columns} if after else {}
    for name in dict.fromkeys([*new, *old]):
        was, is_now = old.get(name), new.get(name)
        definition, now = _definition(was), _definition(is_now)
        change: Change = "" if definition == now or not old or not new else "changed"
        if change and (was is None or is_now is None):
            change = "new" if was is None else "gone"
        yield ColumnChange(
            name=name, before=definition, after=now, comment=(is_now and is_now.comment) or "", change=change
        )


def _definition(column: MeasuredColumn | None) -> str:
    if column is None:
        return ""
    default = f" default {column.default}" if column.default not in (None, "identity") else ""
    identity = " identity" if column.default == "identity" else ""
    return f"{column.type}{' not null' if column.not_null else ''}{identity}{default}"


def right_changes(before: Sequence[SecurityFact], after: Sequence[SecurityFact]) -> list[RightChange]:
    """Rights that are not what they were."""
    old, new = {(f.what, f.name): f.detail for f in before}, {(f.what, f.name): f.detail for f in after}
    return [
        RightChange(what=what, name=name, before=old.get((what, name), ""), after=new.get((what, name), ""))
        for what, name in sorted(old.keys() | new.keys())
        if old.get((what, name)) != new.get((what, name))
    ]


def needs_review(facts: Sequence[SecurityFact]) -> list[SecurityFact]:
    """What the operator should review, whether or not it is new."""
    return [fact for fact in facts if fact.attention]
