"""The plan: a reviewed TOML file that says which columns of which tables become what."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from replank.errors import WrongUse
from replank.plan.operation.access_plan import AccessPlan
from replank.plan.operation.after_cutover_plan import AfterCutoverPlan
from replank.plan.operation.breaker_plan import BreakerPlan
from replank.plan.operation.gates_plan import GatesPlan
from replank.plan.operation.governor_plan import GovernorPlan
from replank.plan.operation.notifications_plan import NotificationsPlan
from replank.plan.operation.success_plan import SuccessPlan
from replank.plan.steps.prisma_plan import PrismaPlan
from replank.plan.steps.steps_plan import StepsPlan
from replank.plan.tables.cache_plan import CachePlan, refuse_unordered
from replank.plan.tables.table_plan import TablePlan
from replank.plan.text.plan_mistakes import told_mistakes
from replank.plan.text.plan_words import Name, Strict, refuse_twice


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


class Plan(Strict):
    """A whole plan. `version` is the version of this format."""

    version: Literal[1] = 1
    name: Name = "plan"
    database: DatabasePlan
    options: OptionsPlan = Field(default_factory=OptionsPlan)
    governor: GovernorPlan = Field(default_factory=GovernorPlan)
    breaker: BreakerPlan = Field(default_factory=BreakerPlan)
    tables: tuple[TablePlan, ...] = ()
    caches: tuple[CachePlan, ...] = ()
    steps: StepsPlan = Field(default_factory=StepsPlan)
    prisma: PrismaPlan | None = None
    success: SuccessPlan = Field(default_factory=SuccessPlan)
    access: AccessPlan = Field(default_factory=AccessPlan)
    gates: GatesPlan | None = None
    """What must be so before the data migration; without the section nothing is asked for."""
    notifications: NotificationsPlan | None = None
    """Who is notified of the run's events; without the section, no receiver."""
    after_cutover: AfterCutoverPlan = Field(default_factory=AfterCutoverPlan)

    @field_validator("tables")
    @classmethod
    def _no_table_twice(cls, tables: tuple[TablePlan, ...]) -> tuple[TablePlan, ...]:
        refuse_twice("table", [table.full_name for table in tables])
        return tables

    @field_validator("caches")
    @classmethod
    def _caches_in_order(cls, caches: tuple[CachePlan, ...]) -> tuple[CachePlan, ...]:
        return refuse_unordered(caches)

    @model_validator(mode="after")
    def _something_to_do(self) -> Plan:
        if not self.tables and not self.caches and not self.steps.asked:
            raise ValueError("nothing to do: add tables, caches or steps")
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
        raise WrongUse(f"{path}: could not read the plan: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongUse(f"{path}: the plan is not UTF-8 text") from None
    return parse_plan(text, source=str(path))
