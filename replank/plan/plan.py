"""The plan: a reviewed TOML file that says which columns of which tables become what."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from replank.errors import WrongUse
from replank.plan.access_plan import AccessPlan
from replank.plan.after_cutover_plan import AfterCutoverPlan
from replank.plan.breaker_plan import BreakerPlan
from replank.plan.cache_plan import CachePlan, refuse_unordered
from replank.plan.gates_plan import GatesPlan
from replank.plan.governor_plan import GovernorPlan
from replank.plan.mappings_plan import TableName
from replank.plan.notifications_plan import NotificationsPlan
from replank.plan.partition_plan import PartitionPlan
from replank.plan.plan_mistakes import told_mistakes
from replank.plan.plan_words import Name, Strict
from replank.plan.prisma_plan import PrismaPlan
from replank.plan.steps_plan import StepsPlan
from replank.plan.success_plan import SuccessPlan


class DatabasePlan(Strict):
    """The database the plan was made for. `system_identifier` may be left out to use it elsewhere."""

    name: Name
    system_identifier: str | None = None


class OptionsPlan(Strict):
    """Limits of one run. Every name carries its unit."""

    lock_timeout_ms: int = Field(default=200, ge=10, le=10_000)
    cutover_wait_ms: int = Field(default=2_000, ge=50, le=60_000)
    """The longest that a swap may keep any other session waiting, from asking for its locks on."""
    cutover_hold_budget_ms: int = Field(default=2_000, ge=50, le=60_000)
    cutover_attempts: int = Field(default=120, ge=1)
    old_snapshots: Literal["wait", "ignore"] = "wait"
    """Whether a swap waits for sessions whose snapshot is older than the newest rows of the new tables."""
    capture_attempts: int = Field(default=120, ge=1)
    max_jobs_in_flight: int = Field(default=16, ge=1, le=1_000)
    chunk_mb: int | None = Field(default=None, ge=1, le=10_000)
    index_memory_mb: int = Field(default=256, ge=1)
    cutover_log_rows: int = Field(default=2_000, ge=1)
    verify_again_minutes: int = Field(default=10, ge=0, le=100_000)
    """While a cutover waits for the operator or its window, a table is compared again so long after the last time."""
    text_casts: bool = False
    """Whether the cutover makes text → uuid an implicit cast, so that typed text parameters still find their ids."""
    sets: Literal["together", "apart"] = "together"
    """`together`: all tables whose types change are swapped in one transaction. `apart`: only those that a foreign key,
    a view, a function, a policy or a rule joins."""
    consent: tuple[Literal["foreign_functions", "orphans", "pattern_indexes"], ...] = ()
    """`foreign_functions`: functions of other roles may run with the rights of the role that connects. `orphans`: rows
    without a parent behind a valid foreign key may stay, and the key comes back NOT VALID. `pattern_indexes`: indexes
    for LIKE over columns whose type changes go with the swap, or become plain ones."""
    reverse_capture: bool = True
    """Whether changes of the new tables are kept after the cutover, so that `rollback` can take them along."""

    @property
    def trusts_functions(self) -> bool:
        """Whether functions of other roles may run with the rights of the role that connects."""
        return "foreign_functions" in self.consent

    @property
    def keeps_orphans(self) -> bool:
        """Whether a valid foreign key may come back NOT VALID because of rows that have no parent."""
        return "orphans" in self.consent

    @property
    def gives_up_patterns(self) -> bool:
        """Whether indexes for text patterns over columns whose type changes may go with the swap."""
        return "pattern_indexes" in self.consent


Expression = Annotated[str, Field(min_length=1)]
"""SQL over the live row, which is called `live`. Names of tables and functions carry their schema."""


class ColumnPlan(Strict):
    """One column and the type it becomes. `on_invalid` says what becomes of a text that is no uuid, or no value.

    `fail` stops the run, `null` loses the text, `name_based` makes a uuid of it that is always the same,
    `quarantine` keeps the row aside, and every row that refers to it. `default` replaces the present default, which
    is cast otherwise. Arrays of texts become `uuid[]`. A column whose type is a domain leaves it: `consent` says that
    the domain's CHECKs may go, and those over an enum's texts that are no plain lists of them; or that references to
    texts which `name_based` changes may lead nowhere.
    """

    name: Name
    to: Literal["uuid", "uuid[]", "enum"]
    type: TableName | None = None
    """For `enum`: the type, with its schema if that is not `public`. Step 05 may make it."""
    map: dict[str, Name] = Field(default_factory=dict)
    """For `enum`: texts that are spelled otherwise than their value. A value gets its first text on the way back."""
    on_invalid: Literal["fail", "null", "name_based", "quarantine"] = "fail"
    default: Expression | None = None
    consent: tuple[Literal["domain_checks", "enum_checks", "dangling_references"], ...] = ()

    @model_validator(mode="after")
    def _arrays_convert_or_fail(self) -> ColumnPlan:
        if self.to == "uuid[]" and self.on_invalid != "fail":
            raise ValueError("on_invalid is `fail` for uuid[]: an array with a text that is no uuid stops its job")
        return self

    @model_validator(mode="after")
    def _only_name_based_ids_dangle(self) -> ColumnPlan:
        if "dangling_references" in self.consent and self.on_invalid != "name_based":
            raise ValueError('dangling_references is for on_invalid = "name_based": nothing else changes an id')
        return self

    @model_validator(mode="after")
    def _enums_say_their_type(self) -> ColumnPlan:
        if self.to == "enum" and self.type is None:
            raise ValueError('say which: type = "public.booking_status"')
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
            # A table that is rebuilt as it is may be needed beside one whose rows are kept aside.
            raise ValueError("nothing to do: name columns to convert, to add or to fill, or say how to partition")
        _refuse_twice("column", names)
        _refuse_twice("join", [join.name for join in self.join])
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


class Plan(Strict):
    """A whole plan. `version` is the version of this format."""

    version: Literal[1] = 1
    name: Name = "plan"
    database: DatabasePlan
    options: OptionsPlan = OptionsPlan()
    governor: GovernorPlan = GovernorPlan()
    breaker: BreakerPlan = BreakerPlan()
    tables: tuple[TablePlan, ...] = ()
    caches: tuple[CachePlan, ...] = ()
    steps: StepsPlan = StepsPlan()
    prisma: PrismaPlan | None = None
    success: SuccessPlan = SuccessPlan()
    access: AccessPlan = Field(default_factory=AccessPlan)
    gates: GatesPlan | None = None
    """What must be so before the data migration; without the section nothing is asked for."""
    notifications: NotificationsPlan | None = None
    """Who is told of the run's events; without the section nobody."""
    after_cutover: AfterCutoverPlan = AfterCutoverPlan()

    @field_validator("tables")
    @classmethod
    def _no_table_twice(cls, tables: tuple[TablePlan, ...]) -> tuple[TablePlan, ...]:
        _refuse_twice("table", [table.full_name for table in tables])
        return tables

    @field_validator("caches")
    @classmethod
    def _caches_in_order(cls, caches: tuple[CachePlan, ...]) -> tuple[CachePlan, ...]:
        return refuse_unordered(caches)

    @model_validator(mode="after")
    def _something_to_do(self) -> Plan:
        if not self.tables and not self.caches and not self.steps.asked:
            raise ValueError("nothing to do: name tables, caches or steps")
        return self

    @property
    def wanted_tables(self) -> tuple[tuple[int, TablePlan], ...]:
        """The tables with their places in the file, without what belongs to steps that are off.

        One of which nothing is left is not touched. One that said nothing is rebuilt for others' sake: it stays.
        """
        left = [(number, said, said.without(self.steps.off)) for number, said in enumerate(self.tables)]
        kept = [(n, wanted) for n, said, wanted in left if wanted.says_something or not said.says_something]
        return tuple(kept) if any(wanted.says_something for _, wanted in kept) or not self.steps.off else ()

    def digest(self) -> str:
        """A hash of what becomes of the database: comments, order of keys and layout do not change it.

        Nor do gates, notifications, who is told after a cutover, who may watch, and the limits of governor and
        breaker: a window may be moved while a run waits for it, a signal's limit raised while a run is held back by
        it, and what was rehearsed stays what will run.
        """
        left_out = {"gates", "governor", "breaker", "notifications", "after_cutover", "access"}
        return hashlib.sha256(self.model_dump_json(by_alias=True, exclude=left_out).encode()).hexdigest()


_T = TypeVar("_T")


def _refuse_twice(what: str, names: list[_T]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"{what} named twice: {', '.join(sorted(map(str, twice)))}")


def parse_plan(text: str, *, source: str) -> Plan:
    """Read a plan. Raises WrongUse with `source`, line and key of every mistake."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongUse(f"{source}: not valid TOML: {error}") from None
    try:
        return Plan.model_validate(document)
    except ValidationError as error:
        raise WrongUse("\n".join(told_mistakes(error, document, source=source, text=text))) from None


def load_plan(path: Path) -> Plan:
    """Read a plan from a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"{path}: the plan cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongUse(f"{path}: the plan is not UTF-8 text") from None
    return parse_plan(text, source=str(path))
