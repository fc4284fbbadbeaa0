"""The first criterion: whether what the plan asked for is uuid, and which models it left alone, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from monitoring.report.facts import Facts
from monitoring.report.verdict import Criterion
from replank.plan.plan import Plan
from replank.plan.text.plan_words import split_name
from replank.values.measurement import MeasuredTable
from replank.wording import counted

NOT_MODELS = "_prisma_migrations"
UUIDS = ("uuid", "uuid[]")
NAMED = 5
"""So many are named in the sentence; the lists have all."""

HOW = (
    "Columns that the plan converts to uuid or adds as uuid, and those of step 01, are looked up in the catalogue when "
    "this report is made; a table counts when all of its own are there. A column of step 01 has to tell each row "
    "apart, too. Also listed are the models without a native uuid column that is NOT NULL and tells each row apart: "
    "by a unique index of its own (in a partitioned table together with the partition key), or as a primary key of "
    "uuids only. Join tables without a model (`_AToB` with columns A and B) and `_prisma_migrations` are no models."
)
HOW_ALL = " The plan says how many models there are (success.models), so each of them has to have such a column."

Tables = Mapping[str, MeasuredTable]
"""By their full names."""


@dataclass(frozen=True, kw_only=True)
class AskedColumn:
    """A column that the plan makes uuid, by the names that it has now. A new one has to tell each row apart."""

    table: str
    column: str
    new: bool = False

    def missing(self, tables: Tables) -> str:
        """What is not as it was asked for; empty where all is."""
        table = tables.get(self.table)
        if table is None:
            return f"{self.table} is not there"
        found = next((column for column in table.columns if column.name == self.column), None)
        if found is None:
            return f"{self.table}.{self.column} is not there"
        if found.type not in UUIDS:
            return f"{self.table}.{self.column} is {found.type}"
        if self.new and not table.uuid_key:
            return f"{self.table}.{self.column} does not tell every row apart"
        return ""


def uuid_fields(facts: Facts) -> Criterion:
    """Counted in the catalogue as it is now."""
    plan = facts.run.plan
    tables = {table.full_name: table for table in facts.tables}
    asked = list(dict.fromkeys(_asked(plan, tables)))
    missing = {column: words for column in asked if (words := column.missing(tables))}
    wanted = {column.table for column in asked}
    done = wanted - {column.table for column in missing}
    models = [table for table in facts.tables if is_model(table) and table.schema not in _ours(plan)]
    alone = tuple(f"{table.full_name}: {_why(plan, table)}" for table in models if not table.uuid_key)
    against = tuple(dict.fromkeys(missing.values()))
    columns = counted(len(asked), "column")
    named = f"{len(asked) - len(missing)} of {columns} in {len(done)} of {counted(len(wanted), 'table')}"
    if plan.success.models is not None:
        return _of_all_models(plan.success.models, len(models), named, against, alone)
    return Criterion(
        criterion=f"All {len(wanted)} tables of the plan have their uuid fields" if asked else "The plan's uuid fields",
        measured=len(done),
        shown=(f"{named}{_missing(against)}" if asked else "the plan asks for no uuid")
        + (f"; left alone without a uuid of its own: {_some(alone)}" if alone else ""),
        target=len(wanted),
        target_shown=f"all {len(wanted)}" if asked else "",
        met=not missing if asked else None,
        how=HOW,
        names=against,
        left_alone=alone,
    )


def _of_all_models(expected: int, models: int, named: str, against: Sequence[str], alone: Sequence[str]) -> Criterion:
    """The plan says how many models there are: a model without a uuid of its own counts against it."""
    having = models - len(alone)
    other = f"; the plan expects {counted(expected, 'table')}, the database has {models}" if expected != models else ""
    missing = f"; without one: {_some(alone)}" if alone else ""
    return Criterion(
        criterion=f"All {expected} models have uuid fields",
        measured=having,
        shown=f"{having} of {counted(models, 'table')}{other}{missing}; of what the plan names, "
        f"{named}{_missing(against)}",
        target=expected,
        target_shown=f"all {expected}",
        met=bool(models) and not alone and not against and expected == models,
        how=HOW + HOW_ALL,
        names=(*alone, *against),
    )


def is_model(table: MeasuredTable) -> bool:
    """Whether a table counts: not Prisma's own history, not a join table that has no model."""
    return table.name != NOT_MODELS and not table.joins


def _ours(plan: Plan) -> set[str]:
    """Schemas that the run's own steps have made."""
    made = {plan.steps.audit_log, plan.steps.permission_cache} - {None}
    return {step.table_schema for step in made if step is not None} - {t.table_schema for t in plan.tables}


def _asked(plan: Plan, tables: Tables) -> Iterator[AskedColumn]:
    step = plan.steps.uuid_fields
    for name in () if step is None else step.tables:
        assert step is not None
        yield _named_now(plan, tables, *split_name(name), step.column)
    for _, table in plan.wanted_tables:
        columns = [column.name for column in table.columns if column.to in UUIDS]
        columns += [added.name for added in table.add if added.type.strip().lower() in UUIDS]
        yield from (AskedColumn(table=table.full_name, column=column) for column in columns)


def _named_now(plan: Plan, tables: Tables, schema: str, name: str, column: str) -> AskedColumn:
    """Step 01 says the names of before step 07."""
    mappings = plan.steps.mappings
    if mappings is None or f"{schema}.{name}" in tables:
        return AskedColumn(table=f"{schema}.{name}", column=column, new=True)
    to = mappings.table_to(schema, name)
    return AskedColumn(table=f"{schema}.{to}", column=mappings.column_to(schema, name, column), new=True)


def _why(plan: Plan, table: MeasuredTable) -> str:
    """Why a model has no uuid of its own, as far as plan and catalogue say."""
    types = {column.name: column.type for column in table.columns}
    keys = [f"{name} is {types[name]}" for name in table.key if name in types]
    key = f"its key {', '.join(keys)}" if keys else "it has no primary key"
    planned = next((each for _, each in plan.wanted_tables if each.full_name == table.full_name), None)
    if planned is None:
        off = any(each.full_name == table.full_name for each in plan.tables)
        return f"steps of the plan that are off would change it; {key}" if off else f"the plan does not name it; {key}"
    names = [c.name for c in planned.columns] + [c.name for c in planned.add] + [c.name for c in planned.fill]
    changed = ", ".join(names) or ("its partitions" if planned.partition is not None else "nothing of it")
    return f"the plan changes {changed}; {key}"


def _missing(against: Sequence[str]) -> str:
    return f"; missing: {_some(against)}" if against else ""


def _some(names: Sequence[str]) -> str:
    """`public.note (why); public.tag (why)`, and how many more."""
    said = [f"{name} ({why})" if why else name for name, _, why in (each.partition(": ") for each in names[:NAMED])]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return "; ".join(said) + more
