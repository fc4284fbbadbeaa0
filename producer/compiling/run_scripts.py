"""The scripts of a prepared run: of its steps, of the pass over the tables, and of what step 11 drops behind it."""

from __future__ import annotations

from dataclasses import dataclass

from producer.compiling.compile_steps import compile_steps
from producer.compiling.drop_deprecated import compile_deprecated
from producer.planning.prepared_run import PreparedRun
from producer.psql_scripts.compile_pass import compile_pass
from producer.psql_scripts.pass_tables import PASS_STEPS, work_of
from producer.steps.compiled import CompiledStep
from replank.activity import doing
from sql.session.connection import Connection


@dataclass(frozen=True, kw_only=True)
class TableScripts:
    """`of_pass` is empty where nothing will read it."""

    of_pass: tuple[CompiledStep, ...]
    deprecated: CompiledStep

    @property
    def all(self) -> tuple[CompiledStep, ...]:
        return (*self.of_pass, self.deprecated)


@dataclass(frozen=True, kw_only=True)
class RunScripts:
    """All that a run begins with."""

    steps: tuple[CompiledStep, ...]
    tables: TableScripts

    @property
    def all(self) -> tuple[CompiledStep, ...]:
        return (*self.steps, *self.tables.all)

    @property
    def tables_come_first(self) -> bool:
        """Whether no script of an earlier phase changes the catalogue before the tables."""
        return _tables_come_first(self.steps)


def compile_run(connection: Connection, prepared: PreparedRun, *, with_pass: bool, is_read: bool) -> RunScripts:
    """The scripts that a run of this plan would begin with.

    `is_read` says that they are compared with reviewed ones. Without `with_pass` those of the pass are left out;
    so they are where scripts of earlier phases change the catalogue before, and nothing reads them.
    """
    doing("compiling the scripts of the steps")
    steps = tuple(compile_steps(connection, prepared.said.plan, prepared.said.folder))
    needed = with_pass and (is_read or _tables_come_first(steps))
    return RunScripts(steps=steps, tables=compile_tables(connection, prepared, with_pass=needed))


def compile_tables(connection: Connection, prepared: PreparedRun, *, with_pass: bool = True) -> TableScripts:
    """Composing the pass takes a tenth of a second a table. Raises WrongUse where step 11 would drop what is in use."""
    work = work_of(connection, prepared)
    of_pass: list[CompiledStep] = []
    if with_pass:
        doing("compiling the scripts of the data migration")
        of_pass = compile_pass(connection, work)
    return TableScripts(of_pass=tuple(of_pass), deprecated=compile_deprecated(connection, work))


def _tables_come_first(steps: tuple[CompiledStep, ...]) -> bool:
    return not any(each.asked and each.step.number < PASS_STEPS[0] for each in steps)
