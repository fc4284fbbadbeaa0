"""The migrations of a plan: found in an application's history, or made on its leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from producer.history.foreign_code import Interpreter
from producer.history.migration.notes import mark_of, notes_of
from producer.history.migration.python_source import literal
from replank.errors import WrongUse
from replank.plan.plan import Plan

PROGRAM = Path(__file__).parent / "child" / "migrations.py"
OF_CACHE = "It is the migration's own."
MADE_BY = "Written by `replank django`: what its plan changed, as one offline migration."
NEVER_LIVE = "The live database was migrated by Replank and has this recorded as applied: it never runs there."
MODELS_ONLY = "Written by `replank django`: what the models say now. The database is changed by {}."


class Migration(BaseModel):
    """One of the plan's migrations. `text` is empty for one that is there; `statements` is None for models alone."""

    model_config = ConfigDict(frozen=True)

    app: str
    name: str
    path: Path
    text: str
    follows: tuple[tuple[str, str], ...]
    statements: tuple[str, ...] | None

    @property
    def key(self) -> tuple[str, str]:
        return self.app, self.name


class TextField(BaseModel):
    """A field of a model that is text although its column becomes uuid. `line` is 0 where it is not known."""

    model_config = ConfigDict(frozen=True)

    model: str
    field: str
    kind: str
    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class History:
    """What the application's history has of the plan, and what it lacks. The statements' migration comes first."""

    present: tuple[Migration, ...]
    made: tuple[Migration, ...]
    fields: tuple[TextField, ...]

    @property
    def all(self) -> tuple[Migration, ...]:
        return tuple(sorted((*self.present, *self.made), key=lambda one: one.statements is None))


def history_of(
    plan: Plan, statements: Sequence[str], interpreter: Interpreter, *, app: str | None, default_schema: str
) -> History:
    """Reads the application's history and models. Nothing is written.

    Raises WrongUse where the history has several leaves, where the models have changes that are not the plan's, and
    where a migration of the same plan has other statements.
    """
    planned = [table for _, table in plan.wanted_tables if table.table_schema == default_schema]
    uuids = [(table.name, column.name) for table in planned for column in table.columns if column.type is None]
    changed = [(table.name, column.name) for table in planned for column in table.columns]
    changed += [(table.name, column.name) for table in planned for column in table.add]
    changed += [(table.name, column.name) for table in planned for column in table.fill]
    wish = {
        "mark": mark_of(plan).replace(" ", "_"),
        "app": app,
        "statements": list(statements),
        "tables": [table.name for table in planned],
        "columns": changed,
        "uuids": uuids,
    }
    said = interpreter.ask(PROGRAM, wish=wish)
    present = tuple(Migration.model_validate(one) for one in said["present"])
    for one in present:
        if one.statements is not None and one.statements != tuple(statements):
            raise WrongUse(
                f"Migration {one.path} is of this plan and has other statements: the plan's tables have changed since. "
                "Remove it, unless a database has it already, and write it again."
            )
    found = [*present, *(Migration.model_validate(one) for one in said["made"])]
    main = next(f"{one.app}.{one.name}" for one in found if one.statements is not None)
    made = tuple(one.model_copy(update={"text": _readable(plan, one, main)}) for one in found[len(present) :])
    return History(present=present, made=made, fields=tuple(TextField.model_validate(one) for one in said["fields"]))


def _readable(plan: Plan, migration: Migration, main: str) -> str:
    """The file with what people should know of it, and its statements with their lines kept."""
    if migration.statements is None:
        return f"# {MODELS_ONLY.format(main)}\n{migration.text}"
    serialized = f"[{', '.join(map(repr, migration.statements))}]"
    listed = "".join(f"    {literal(statement)},\n" for statement in migration.statements)
    text = migration.text.replace(f"sql={serialized}", "sql=STATEMENTS")
    text = text.replace("\n\nclass Migration", f"\nSTATEMENTS = [\n{listed}]\n\n\nclass Migration", 1)
    return "".join(f"# {note}\n" for note in (MADE_BY, NEVER_LIVE, *notes_of(plan, OF_CACHE))) + text
