"""What a plan asks of the steps that are scripts: fields, indexes, audit tables, caches, enums, clean indexes."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from replank.plan.steps.mappings_plan import MappingsPlan
from replank.plan.text.plan_words import Name, Strict, TableName

Interval = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4} (second|minute|hour|day|week|month|year)s?$")]


class UuidFieldsPlan(Strict):
    """Step 01: a native uuid column with default and unique index for tables that have none."""

    column: Name = "uuid"
    tables: tuple[TableName, ...] = Field(min_length=1)


class IndexPlan(Strict):
    """An index of the plan's own."""

    name: Name
    table: TableName
    columns: tuple[Name, ...] = Field(min_length=1)
    unique: bool = False
    include: tuple[Name, ...] = ()
    where: str | None = None


class IndexesPlan(Strict):
    """Step 02. `foreign_keys` makes one for each foreign key that no index leads with, on the named tables or all."""

    foreign_keys: bool = True
    tables: tuple[TableName, ...] | None = None
    add: tuple[IndexPlan, ...] = ()


class AuditLogPlan(Strict):
    """Step 03: tables for audit logs, and triggers that capture every change of `tables` (None: of all).

    `actor` and `request` name the settings in which the application says who does it, e.g.
    `SET LOCAL app.actor = 'u-17'`. `keep` is how long the log is kept.
    """

    table_schema: Name = Field(alias="schema", default="audit")
    tables: tuple[TableName, ...] | None = None
    actor: Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z_]+$")] = "app.actor"
    request: Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z_]+$")] = "app.request_id"
    months_ahead: int = Field(default=3, ge=1, le=120)
    keep: Interval = "24 months"


class PermissionSourcePlan(Strict):
    """A table whose changes make cached permissions stale: those of its `user` column, or everybody's."""

    table: TableName
    user: Name | None = None


class PermissionCachePlan(Strict):
    """Step 04. `query` gives `user_id`, `tenant_id`, `permissions` and `roles` (both jsonb) of everybody."""

    table_schema: Name = Field(alias="schema", default="permission")
    query: str = Field(min_length=1)
    sources: tuple[PermissionSourcePlan, ...] = Field(min_length=1)
    expires_after: Interval = "1 hour"


class EnumPlan(Strict):
    """Step 05: an enum type with these values, made where it is missing; `rename` maps old values to new ones."""

    table_schema: Name = Field(alias="schema", default="public")
    name: Name
    values: tuple[Name, ...] = ()
    rename: dict[Name, Name] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> EnumPlan:
        if not self.values and not self.rename:
            raise ValueError("nothing to do: list values to add or to rename")
        if len(set(self.rename.values())) < len(self.rename):
            raise ValueError("two values cannot get the same name")
        return self


class DropPlan(Strict):
    """Step 11: columns that are not needed any more, as `table.column` or `schema.table.column`."""

    columns: tuple[Annotated[str, Field(pattern=r"^[^.]+\.[^.]+(\.[^.]+)?$")], ...] = ()


class OptimizePlan(Strict):
    """Step 12: indexes that were agreed to go or to be built again, by name. `replank indexes` proposes them."""

    drop: tuple[TableName, ...] = ()
    reindex: tuple[TableName, ...] = ()


PassStep = Literal["08-migrate-uuid-types", "09-populate-audit-fields", "10-setup-partitioning"]


PASS_STEPS: tuple[PassStep, ...] = get_args(PassStep)


class StepsPlan(Strict):
    """The part of a plan that becomes scripts. A step that is not named does nothing.

    `off` names steps of the pass over the tables that are left out of it, for another run.
    """

    off: tuple[PassStep, ...] = ()
    uuid_fields: UuidFieldsPlan | None = None
    indexes: IndexesPlan | None = None
    audit_log: AuditLogPlan | None = None
    permission_cache: PermissionCachePlan | None = None
    enums: tuple[EnumPlan, ...] = ()
    mappings: MappingsPlan | None = None
    drop: DropPlan | None = None
    optimize: OptimizePlan | None = None

    @field_validator("enums")
    @classmethod
    def _no_type_twice(cls, enums: tuple[EnumPlan, ...]) -> tuple[EnumPlan, ...]:
        names = [(enum.table_schema, enum.name) for enum in enums]
        if len(set(names)) < len(names):
            raise ValueError("an enum type is listed twice")
        return enums

    @field_validator("off")
    @classmethod
    def _off_once(cls, off: tuple[PassStep, ...]) -> tuple[PassStep, ...]:
        if len(set(off)) < len(off):
            raise ValueError("a step is listed twice")
        return off

    @property
    def carrier(self) -> str:
        """The step of the pass under whose name its work is done: the first that is on."""
        return next((step for step in PASS_STEPS if step not in self.off), PASS_STEPS[0])

    @property
    def asked(self) -> bool:
        """Whether any step is asked for."""
        asked = (self.uuid_fields, self.indexes, self.audit_log, self.permission_cache, self.enums, self.mappings)
        return any((*asked, self.drop, self.optimize))
