"""`replank prisma`: the schema file and the migration history follow a plan."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from monitoring.terminal.output import people, print_json
from producer.history.changes.changes import Change
from producer.history.changes.step_changes import own_schemas
from producer.history.migration.migration import unchanged
from producer.planning.plan_session import connect_for_plan
from producer.planning.resolution import PlanFile, read_plan_file, refuse_other_database
from producer.prisma.changes.planned_changes import planned_changes, without_model
from producer.prisma.changes.rewrite import rewrite
from producer.prisma.migration.history import Folder, record, write_folder
from producer.prisma.migration.script import migration_script
from producer.prisma.schema.listed_schemas import listed_schemas
from producer.prisma.schema.matching import Matched, match
from producer.prisma.schema.reader import read_schema
from producer.prisma.schema.schema_file import diff_names, read_text
from producer.prisma.schema.schema_names import join_tables
from replank.cli.options import AsJson, DatabaseUrl, PlanPath, SchemaName
from replank.errors import WrongUse
from replank.settings import load_settings
from sql.catalogue.catalogue import read_tables
from sql.session.connection import Connection

SchemaFile = Annotated[Path, typer.Option("--schema", help="The file schema.prisma.")]
Out = Annotated[Path | None, typer.Option(help="The new schema file; - is standard output.")]
Diff = Annotated[bool, typer.Option("--diff", help="Write a unified diff to standard output instead.")]
Migrations = Annotated[Path | None, typer.Option("--migration", help="Prisma's folder of migrations: one is added.")]
Apply = Annotated[bool, typer.Option("--apply", help="With --migration: record it in the database as done.")]
Ordered = Annotated[bool, typer.Option("--order-fields", help="Also put the fields of every model into one order.")]


def register(app: typer.Typer) -> None:
    app.command("prisma")(follow)


def follow(
    plan: PlanPath,
    schema: SchemaFile,
    out: Out = None,
    diff: Diff = False,
    migration: Migrations = None,
    apply: Apply = False,
    order_fields: Ordered = False,
    schema_name: SchemaName = "public",
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Rewrite schema.prisma as the plan changes its tables, and add the migration to Prisma's history.

    Example: replank prisma plan.toml --schema prisma/schema.prisma --diff
    """
    if apply and migration is None:
        raise WrongUse("--apply records a migration: name Prisma's folder with --migration.")
    if out is None and not diff and migration is None:
        raise WrongUse("Give an output: --out FILE, --diff, or --migration DIR.")
    settings = load_settings(database_url=database_url)
    file = read_plan_file(plan)
    before = read_text(schema)
    with connect_for_plan(settings, file.plan, name="prisma") as connection:
        refuse_other_database(connection, file)
        changes = planned_changes(connection, file.plan, read_schema(before), schema_name)
        after = rewrite(before, changes, ordered=order_fields, default_schema=schema_name)
        folder = None
        if migration is not None:
            folder = _add_migration(connection, file, migration, changes, apply=apply, schema_name=schema_name)
    _write(schema, out, before, after, diff=diff)
    strangers = _strangers(before, changes, schema_name)
    own = listed_schemas(read_schema(before), own_schemas(file.plan.steps))
    _say(before, after, strangers, folder, own)
    if as_json:
        print_json(
            {
                "changed": before != after,
                "schemas_of_steps": own,
                "without_model": [{"schema": schema, "table": name} for schema, name in strangers],
                "migration": None if folder is None else {"path": str(folder.path), "checksum": folder.checksum},
            }
        )


def _add_migration(
    connection: Connection,
    file: PlanFile,
    migrations: Path,
    changes: Sequence[Change],
    *,
    apply: bool,
    schema_name: str,
) -> Folder:
    missing = unchanged(connection, file.plan) if apply else []
    if missing:
        listed = "; ".join(missing[:3])
        raise WrongUse(f"The database is not migrated yet: {listed}. `replank run` first, then record it with --apply.")
    script = migration_script(connection, file.plan, schema_name, changes)
    folder = write_folder(migrations, script, default_schema=schema_name)
    if apply:
        new = record(connection, folder, schema_name)
        people().print(f"{folder.name} {'is recorded' if new else 'was recorded already'} in _prisma_migrations.")
    return folder


def _write(schema: Path, out: Path | None, before: str, after: str, *, diff: bool) -> None:
    if diff:
        lines = difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), *diff_names(schema, Path())
        )
        sys.stdout.writelines(lines)
    if out is None:
        return
    if str(out) == "-":
        sys.stdout.write(after)
        return
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            file.write(after)
    except OSError as error:
        raise WrongUse(f"{out}: the schema file cannot be written: {error.strerror}") from None


def _strangers(before: str, changes: Sequence[Change], schema_name: str) -> list[tuple[str, str]]:
    document = read_schema(before)
    joins = {one.table for one in join_tables(document, schema_name)}
    return [table for table in without_model(document, changes, schema_name) if table not in joins]


def _say(
    before: str, after: str, strangers: Sequence[tuple[str, str]], folder: Folder | None, own: Sequence[str]
) -> None:
    console = people()
    changed = [line for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=0) if line[0] in "+-"]
    console.print(f"Lines of the schema file, taken out and put in: {max(0, len(changed) - 2)}.")
    for schema, name in strangers:
        console.print(f"Table {schema}.{name} of the plan has no model in the file.", markup=False)
    for schema in own:
        console.print(
            f"Schema {schema} is that of a step's tables, without models: take it out of the datasource's schemas.",
            markup=False,
        )
    if folder is not None:
        console.print(f"Migration {folder.path} {'is written' if folder.new else 'was there already'}.", markup=False)


def say_matched(matched: Matched) -> None:
    """For people: which model is which table, and what does not fit."""
    console = people()
    console.print(f"Models: {len(matched.models)}, with a table: {len(matched.models) - len(matched.missing)}.")
    for one in matched.models:
        schema, name = one.named
        where = f"{schema}.{name}" if one.table is not None else f"NO TABLE {schema}.{name}"
        console.print(f"  {one.model}: {where}", markup=False, soft_wrap=True)
        for words in one.mismatches:
            console.print(f"    {words}", markup=False, soft_wrap=True)
    for title, tables in (
        ("implicit many-to-many", matched.join_tables),
        ("Prisma's own history", matched.history),
        ("table without model", matched.strangers),
    ):
        for schema, name in tables:
            console.print(f"  {title}: {schema}.{name}", markup=False, soft_wrap=True)


def matched_with(connection: Connection, path: Path, schema_name: str) -> Matched:
    """The file's models with the database's tables."""
    return match(read_schema(read_text(path)), read_tables(connection), schema_name)
