"""`[[tables]]` of a plan: which columns become what, which come in, how the table is partitioned."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from replank.plan.tables.partition_plan import PartitionPlan
from replank.plan.text.plan_words import Name, Strict, TableName, refuse_twice

Expression = Annotated[str, Field(min_length=1)]
"""SQL over the live row, which is called `live`. Names of tables and functions carry their schema."""


class ColumnPlan(Strict):
    """One column and the type it becomes. `on_invalid` says what becomes of a text that is no uuid, or no value.

    `fail` stops the run, `null` loses the text, `name_based` makes a uuid of it that is always the same,
    `quarantine` quarantines the row, and every row that refers to it. `default` replaces the present default, which
    is cast otherwise. Arrays of texts become `uuid[]`. A column whose type is a domain leaves it: `consent` says that
    the domain's CHECKs may go, and those over an enum's texts that are no plain lists of them; or that references to
    texts which `name_based` changes may lead nowhere.
    """

    name: Name
    to: Literal["uuid", "uuid[]", "enum"]
    type: TableName | None = None
    """For `enum`: the type, with its schema if that is not `public`. Step 05 may make it."""
    map: dict[str, Name] = Field(default_factory=dict)
    """For `enum`: texts that differ from their value. At a rollback a value gets its first text."""
    on_invalid: Literal["fail", "null", "name_based", "quarantine"] = "fail"
    default: Expression | None = None
    consent: tuple[Literal["domain_checks", "enum_checks", "dangling_references"], ...] = ()

    @model_validator(mode="after")
    def _arrays_convert_or_fail(self) -> ColumnPlan:
        if self.to == "uuid[]" and self.on_invalid != "fail":
            raise ValueError("on_invalid is `fail` for uuid[]: an array with a text that is not a uuid fails its job")
        return self

    @model_validator(mode="after")
    def _only_name_based_ids_dangle(self) -> ColumnPlan:
        if "dangling_references" in self.consent and self.on_invalid != "name_based":
            raise ValueError('dangling_references needs on_invalid = "name_based": no other policy changes an id')
        return self

    @model_validator(mode="after")
    def _enums_say_their_type(self) -> ColumnPlan:
        if self.to == "enum" and self.type is None:
            raise ValueError('the type is missing, for example type = "public.booking_status"')
        if self.to == "enum" and self.on_invalid == "name_based":
            raise ValueError("on_invalid is fail, null or quarantine for an enum")
        if self.to != "enum" and (self.type is not None or self.map or "enum_checks" in self.consent):
            raise ValueError("type, map and enum_checks are for columns that become an enum")
        return self


class AddedColumnPlan(Strict):
    """A column that the table does not have yet. Rows that are there get `value`, or else the default.

    `on_update` is what every UPDATE that does not set the column itself puts there. `stable = false` says
    that `value` gives something else each time (a random uuid, the clock): then it cannot be compared.
    """

    name: Name
    type: Expression
    default: Expression | None = None
    not_null: bool = False
    unique: bool = False
    value: Expression | None = None
    on_update: Expression | None = None
    stable: bool = True


class FilledColumnPlan(Strict):
    """A column that is there and gets values: where it is NULL, or everywhere with `only_null = false`."""

    name: Name
    value: Expression
    only_null: bool = True
    stable: bool = True
    default: Expression | None = None
    not_null: bool = False
    on_update: Expression | None = None


class JoinPlan(Strict):
    """What expressions may use beside the live row: `LEFT JOIN (query) AS name ON (on)`, at most one row each."""

    name: Name
    query: Expression
    on: Expression


class TablePlan(Strict):
    """One table to rebuild."""

    table_schema: Name = Field(alias="schema", default="public")
    name: Name
    axis: Literal["auto", "primary_key", "heap"] = "auto"
    method: Literal["auto", "rebuild", "backfill"] = "auto"
    join: tuple[JoinPlan, ...] = ()
    columns: tuple[ColumnPlan, ...] = ()
    add: tuple[AddedColumnPlan, ...] = ()
    fill: tuple[FilledColumnPlan, ...] = ()
    partition: PartitionPlan | None = None

    @property
    def full_name(self) -> str:
        """`schema.table`, for people; SQL quotes its identifiers elsewhere."""
        return f"{self.table_schema}.{self.name}"

    @model_validator(mode="after")
    def _every_column_once(self) -> TablePlan:
        names = [c.name for c in self.columns] + [c.name for c in self.add] + [c.name for c in self.fill]
        if not names and self.partition is None and self.method != "rebuild":
            # A table that is rebuilt as it is may be needed beside one whose rows are quarantined.
            raise ValueError("nothing to do: list columns to convert, to add or to fill, or set how to partition")
        refuse_twice("column", names)
        refuse_twice("join", [join.name for join in self.join])
        return self

    def without(self, off: Collection[str]) -> TablePlan:
        """What is left of it without these steps of the pass."""
        left_out: dict[str, Any] = {}
        if "08-migrate-uuid-types" in off:
            left_out["columns"] = ()
        if "09-populate-audit-fields" in off:
            left_out |= {"join": (), "add": (), "fill": ()}
        if "10-setup-partitioning" in off:
            left_out["partition"] = None
        return self.model_copy(update=left_out) if left_out else self

    @property
    def says_something(self) -> bool:
        return bool(self.columns or self.add or self.fill or self.partition is not None)
