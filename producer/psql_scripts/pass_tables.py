"""What the data steps of a plan have to do, and whether a script can do it honestly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from producer.planning.conversion_sets import planned_sets
from producer.planning.prepared_run import PreparedRun
from replank.plan.plan import OptionsPlan, Plan
from replank.values.table_spec import Relation, TableSpec
from sql.catalogue.catalogue import ForeignKey
from sql.catalogue.dependents import Dependents, read_dependents
from sql.scripts.script_templates import Block
from sql.session.connection import Connection

PASS_STEPS = (8, 9, 10)
"""The steps that are one pass over each table."""


@dataclass(frozen=True, kw_only=True)
class SwapSet:
    """Tables that are swapped together; `foreign_keys` are documents as the ledger keeps them."""

    set_no: int
    members: tuple[TableSpec, ...]
    foreign_keys: Sequence[Mapping[str, Any]]
    dependents: Dependents


@dataclass(frozen=True, kw_only=True)
class Work:
    """The tables of a plan as they are and as they are to be. Objects are numbered as those of run 0."""

    plan: Plan
    specs: tuple[TableSpec, ...]
    sets: tuple[SwapSet, ...]
    keys: tuple[ForeignKey, ...]

    @property
    def options(self) -> OptionsPlan:
        return self.plan.options

    @property
    def rebuilt(self) -> tuple[TableSpec, ...]:
        return tuple(spec for spec in self.specs if spec.method == "rebuild")

    @property
    def filled(self) -> tuple[TableSpec, ...]:
        return tuple(spec for spec in self.specs if spec.method == "backfill")


def work_of(connection: Connection, prepared: PreparedRun) -> Work:
    specs = prepared.specs
    sets = planned_sets(connection, specs, prepared.foreign_keys, prepared.plan.options.sets)
    return Work(
        plan=prepared.plan,
        specs=tuple(specs),
        keys=prepared.foreign_keys,
        sets=tuple(
            SwapSet(
                set_no=set_no,
                members=members,
                foreign_keys=documents,
                dependents=read_dependents(connection, members),
            )
            for set_no, (members, documents) in sorted(sets.items())
        ),
    )


def asked_by(spec: TableSpec, number: int) -> bool:
    """Whether a step has something to do in this table."""
    match number:
        case 8:
            return spec.converts
        case 9:
            return any(c.added or c.value or c.on_update or (c.default and not c.converted) for c in spec.columns)
        case _:
            return spec.layout is not None


def steps_asked(work: Work) -> list[int]:
    """The steps of the pass that have something to do. A table that is rebuilt as it is belongs to the first."""
    asked = [number for number in PASS_STEPS if any(asked_by(spec, number) for spec in work.specs)]
    return asked or ([PASS_STEPS[0]] if work.specs else [])


def why_not_by_hand(work: Work) -> list[str]:
    """Reasons why a script would do it by halves; none where it can."""
    reasons = [reason for spec in work.specs for reason in _reasons(spec)]
    reasons += [
        f"function {function.signature} uses a table's row type, so the past tables have it with another signature"
        for one in work.sets
        for function in one.dependents.functions
    ]
    return list(dict.fromkeys(reasons))


def _reasons(spec: TableSpec) -> Iterator[str]:
    if spec.settles:
        yield f"{spec.full_name}: every drain resolves quarantine again, which a script cannot do"
    if spec.kin:
        yield (
            f"{spec.full_name} inherits or is inherited: only the coordinator can link parents and children, "
            "table by table"
        )


def label(relation: Relation, what: str, sql: str) -> Block:
    """A block that says which table it is about."""
    return Block(purpose=f"{' '.join(relation.full_name.split())}: {what}", sql=sql)
