"""`replank alembic`: SQLAlchemy models and Alembic's history follow a plan."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from monitoring.terminal.output import people, print_json
from producer.alembic.models.changes import ModelChange, Patch, by_hand
from producer.alembic.models.differences import differences
from producer.alembic.models.models import read_models
from producer.alembic.models.own_sql import own_sql
from producer.alembic.planned_changes import planned_changes, without_model
from producer.alembic.revision import Environment, Revision, revision_of
from producer.alembic.stamping import is_stamped, stamp
from producer.cli.models import ModelsOption, Python, Variables, interpreter_of
from producer.history.changes.changes import Table
from producer.history.changes.step_changes import own_schemas
from producer.history.foreign_code import Interpreter
from producer.history.migration.migration import migration_statements, refuse_unchanged
from producer.planning.plan_session import connect_for_plan
from producer.planning.resolution import PlanFile, read_plan_file, refuse_other_database
from replank.cli.options import AsJson, DatabaseUrl, PlanPath, SchemaName
from replank.errors import WrongUse
from replank.settings import load_settings
from replank.wording import counted
from sql.catalogue.alembic import VERSION_TABLE
from sql.scripts.file_change import unified
from sql.session.connection import Connection

Config = Annotated[Path, typer.Option("--config", help="Alembic's file.")]
ScriptLocation = Annotated[str | None, typer.Option("--script-location", help="Overrides that of Alembic's file.")]
ModelsOnly = Annotated[bool, typer.Option("--models-only", help="No revision: only what the models must say.")]
AsUuid = Annotated[bool, typer.Option("--as-uuid", help="Models get uuid.UUID from the database, no longer str.")]
Diff = Annotated[bool, typer.Option("--diff", help="Show the diff also when it is written.")]
Write = Annotated[bool, typer.Option("--write", help="Write the revision and the models.")]
Apply = Annotated[bool, typer.Option("--apply", help="Write, and stamp the migrated database with the revision.")]
VersionTable = Annotated[
    str | None, typer.Option("--version-table", help=f"Alembic's own table, e.g. public.{VERSION_TABLE}.")
]


def register(app: typer.Typer) -> None:
    app.command("alembic")(follow)


def follow(
    plan: PlanPath,
    config: Config = Path("alembic.ini"),
    script_location: ScriptLocation = None,
    models: ModelsOption = None,
    models_only: ModelsOnly = False,
    as_uuid: AsUuid = False,
    diff: Diff = False,
    write: Write = False,
    apply: Apply = False,
    schema_name: SchemaName = "public",
    version_table: VersionTable = None,
    python: Python = sys.executable,
    env: Variables = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Add a plan's revision to Alembic's history, and change the models' source. Shows a diff and writes nothing.

    Example: replank alembic plan.toml --config alembic.ini --models shop.models:Base.metadata
    """
    if models_only and (models is None or apply):
        raise WrongUse("--models-only goes with --models, and without --apply: it makes no revision to stamp.")
    interpreter = interpreter_of(python, env)
    settings = load_settings(database_url=database_url)
    file = read_plan_file(plan)
    with connect_for_plan(settings, file.plan, name="alembic") as connection:
        refuse_other_database(connection, file)
        if apply:
            refuse_unchanged(connection, file.plan)
        asked = _Asked(file=file, schema_name=schema_name, interpreter=interpreter)
        patch, strangers = _models(connection, asked, models, as_uuid=as_uuid)
        made = None
        if not models_only:
            environment = Environment(config=config, script_location=script_location, interpreter=interpreter)
            table = version_table or f"{schema_name}.{VERSION_TABLE}"
            made = _revision(connection, asked, environment, table, write=write or apply, apply=apply)
    written = write or apply
    if written:
        _write(patch)
    if diff or not written:
        sys.stdout.writelines(_diff(made, patch))
    _say(made, patch, strangers, written=written)
    if as_json:
        print_json(
            {
                "written": written,
                "revision": None if made is None else _told(made),
                "models": [change.to_json() for change in patch.changes],
                "without_model": [{"schema": schema, "table": name} for schema, name in strangers],
                "own_schemas": own_schemas(file.plan.steps),
            }
        )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    file: PlanFile
    schema_name: str
    interpreter: Interpreter


def _models(
    connection: Connection, asked: _Asked, reference: str | None, *, as_uuid: bool
) -> tuple[Patch, list[Table]]:
    if reference is None:
        return Patch(changes=(), files={}), []
    try:
        from producer.alembic.models.patch import make_patch
        from producer.alembic.models.source import sources
    except ImportError:
        raise WrongUse("LibCST is missing, which rewrites the models: pip install 'replank[alembic]'.") from None
    models = read_models(reference, asked.interpreter)
    changes = planned_changes(connection, asked.file.plan, models, asked.schema_name)
    found = differences(models, changes, asked.schema_name, as_uuid=as_uuid)
    patch = make_patch(models, found, sources(models.sources()), asked.schema_name)
    by_words = own_sql(models, changes, asked.schema_name, as_uuid=as_uuid)
    patch = replace(patch, changes=(*patch.changes, *by_words))
    return patch, without_model(models, changes, asked.schema_name)


def _revision(
    connection: Connection, asked: _Asked, environment: Environment, table: str, *, write: bool, apply: bool
) -> Revision:
    statements = migration_statements(connection, asked.file.plan, asked.schema_name)
    made = revision_of(asked.file.plan, statements, environment, write=False)
    # Before anything is written: what cannot be stamped is said first.
    stamped = apply and is_stamped(connection, made, table)
    if write and made.new:
        made = revision_of(asked.file.plan, statements, environment, write=True)
    if apply:
        if not stamped:
            stamp(connection, made, table)
        people().print(f"{made.revision} {'was stamped already' if stamped else 'is stamped'} in {table}.")
    return made


def _write(patch: Patch) -> None:
    for path, (_, after) in patch.files.items():
        try:
            with Path(path).open("w", encoding="utf-8", newline="") as file:
                file.write(after)
        except OSError as error:
            raise WrongUse(f"{path}: the models cannot be written: {error.strerror}") from None


def _diff(made: Revision | None, patch: Patch) -> Iterator[str]:
    files = dict(patch.files)
    if made is not None and made.new:
        files[str(made.path)] = ("", made.text)
    for path, (before, after) in sorted(files.items()):
        name = _beside(path)
        yield unified(before, after, f"a/{name}" if before else "/dev/null", f"b/{name}")


def _beside(path: str) -> str:
    """As seen from the present folder, where `git apply` and `patch -p1` are called."""
    found = Path(path).resolve()
    return str(found.relative_to(Path.cwd())) if found.is_relative_to(Path.cwd()) else str(found).lstrip("/")


def _told(made: Revision) -> dict[str, object]:
    return {"revision": made.revision, "follows": made.follows, "path": str(made.path), "new": made.new}


def _say(made: Revision | None, patch: Patch, strangers: Sequence[Table], *, written: bool) -> None:
    console = people()
    if made is not None:
        how = "was there already" if not made.new else "is written" if written else "would be written"
        console.print(f"Revision {made.path} {how}.", markup=False, soft_wrap=True)
    patched = len(patch.changes) - len(by_hand(patch.changes))
    if patch.changes:
        how = "are changed" if written else "would be changed"
        console.print(f"Types in the models: {patched} {how}, in {counted(len(patch.files), 'file')}.")
    for change in by_hand(patch.changes):
        console.print(_by_hand(change), markup=False, soft_wrap=True)
    for schema, name in strangers:
        console.print(f"Table {schema}.{name} of the plan has no model.", markup=False)


def _by_hand(change: ModelChange) -> str:
    where = f"{_beside(change.file)}:{change.line}" if change.line else "not found in the source"
    what = f"{change.table}.{change.column}" if change.column else change.table
    old = f"{change.old} -> " if change.old else "add "
    return f"By hand: {where}: {what}: {old}{change.new}"
