"""`replank django`: Django's history follows a plan."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from monitoring.terminal.output import people, print_json
from producer.cli.models import Python, Variables, interpreter_of
from producer.django.migrations import History, Migration, TextField, history_of
from producer.django.recording import not_recorded, record
from producer.history.migration.migration import migration_statements, refuse_unchanged
from producer.planning.plan_session import connect_for_plan
from producer.planning.resolution import read_plan_file, refuse_other_database
from replank.cli.options import AsJson, DatabaseUrl, PlanPath, SchemaName
from replank.errors import WrongUse
from replank.settings import load_settings
from sql.scripts.file_change import unified

SettingsModule = Annotated[str, typer.Option("--settings", metavar="MODULE", help="Django's settings.")]
App = Annotated[str | None, typer.Option("--app", metavar="LABEL", help="The app that gets the plan's statements.")]
Write = Annotated[bool, typer.Option("--write", help="Write the migrations.")]
Apply = Annotated[bool, typer.Option("--apply", help="Write, and record them as applied in the migrated database.")]


def register(app: typer.Typer) -> None:
    app.command("django")(follow)


def follow(
    plan: PlanPath,
    settings_module: SettingsModule,
    app: App = None,
    write: Write = False,
    apply: Apply = False,
    schema_name: SchemaName = "public",
    python: Python = sys.executable,
    env: Variables = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Add a plan's migration to Django's history, with what the models say now. Shows a diff and writes nothing.

    Example: replank django plan.toml --settings shop.settings
    """
    interpreter = interpreter_of(python, [*(env or ()), f"DJANGO_SETTINGS_MODULE={settings_module}"])
    settings = load_settings(database_url=database_url)
    file = read_plan_file(plan)
    with connect_for_plan(settings, file.plan, name="django") as connection:
        refuse_other_database(connection, file)
        if apply:
            refuse_unchanged(connection, file.plan)
        statements = migration_statements(connection, file.plan, schema_name)
        history = history_of(file.plan, statements, interpreter, app=app, default_schema=schema_name)
        # Before anything is written: what cannot be recorded is said first.
        waiting = not_recorded(connection, history.all, schema_name) if apply else []
        if write or apply:
            _write(history.made)
        else:
            sys.stdout.writelines(_diff(history.made))
        record(connection, waiting, schema_name)
    _say(history, waiting, written=write or apply)
    if as_json:
        print_json(_told(history, waiting, written=write or apply))


def _write(made: Sequence[Migration]) -> None:
    for migration in made:
        try:
            with migration.path.open("x", encoding="utf-8") as file:
                file.write(migration.text)
        except OSError as error:
            raise WrongUse(f"{migration.path}: the migration cannot be written: {error.strerror}") from None


def _diff(made: Sequence[Migration]) -> Iterator[str]:
    for migration in made:
        yield unified("", migration.text, "/dev/null", f"b/{_beside(migration.path)}")


def _beside(path: Path) -> str:
    """As seen from the present folder, where `git apply` and `patch -p1` are called."""
    found, here = path.resolve(), Path.cwd()
    return str(found.relative_to(here)) if found.is_relative_to(here) else str(found).lstrip("/")


def _say(history: History, recorded: Sequence[Migration], *, written: bool) -> None:
    console = people()
    for migration in history.all:
        how = "was there already" if migration in history.present else "is written" if written else "would be written"
        console.print(f"Migration {migration.path} {how}.", markup=False, soft_wrap=True)
    for migration in recorded:
        console.print(f"{migration.app}.{migration.name} is recorded as applied.", markup=False, soft_wrap=True)
    for field in history.fields:
        console.print(_by_hand(field), markup=False, soft_wrap=True)


def _by_hand(field: TextField) -> str:
    where = f"{_beside(Path(field.file))}:{field.line}" if field.line else "not found in the source"
    return f"By hand: {where}: {field.model}.{field.field}: {field.kind} -> UUIDField"


def _told(history: History, recorded: Sequence[Migration], *, written: bool) -> dict[str, object]:
    return {
        "written": written,
        "migrations": [
            {
                "app": one.app,
                "name": one.name,
                "path": str(one.path),
                "new": one in history.made,
                "statements": one.statements is not None,
                "recorded": one in recorded,
            }
            for one in history.all
        ],
        "fields": [field.model_dump() for field in history.fields],
    }
