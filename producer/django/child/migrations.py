"""Read the history of a Django project and make the migrations of a plan, as one JSON object. Nothing is written.

Run as a program by the interpreter that has the application's packages; its wish is a JSON object on standard input.
It imports nothing of Replank's and asks no database. What the application prints goes to standard error.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

INSTALLED = frozenset({"site-packages", "dist-packages"})


class Refused(Exception):
    """The wish cannot be met; its text says why."""


def main(wish: dict[str, Any]) -> dict[str, Any]:
    # Instead of this folder, whose names are no modules of the application.
    sys.path[0] = os.getcwd()
    import django
    from django.db.migrations.loader import MigrationLoader

    django.setup()
    loader = MigrationLoader(None)
    columns = {(table, column) for table, column in wish["columns"]}
    try:
        if conflicts := loader.detect_conflicts():
            listed = "; ".join(f"{app}: {', '.join(sorted(names))}" for app, names in sorted(conflicts.items()))
            raise Refused(
                f"The history has several leaves ({listed}). Join them with `manage.py makemigrations --merge`."
            )
        present = list(_present(loader, wish["mark"]))
        made = _made(loader, wish, columns, present)
    except Refused as error:
        return {"error": str(error)}
    return {
        "present": present,
        "made": made,
        "fields": list(_fields({(table, column) for table, column in wish["uuids"]})),
    }


def _present(loader: Any, mark: str) -> Iterator[dict[str, Any]]:
    """The plan's migrations that are there. `statements` is None for one that only changes models."""
    from django.db.migrations import RunSQL

    for (app, name), migration in sorted(loader.disk_migrations.items()):
        if mark in name:
            inner = [one for each in migration.operations for one in getattr(each, "database_operations", ())]
            statements = [list(one.sql) for one in inner if isinstance(one, RunSQL)]
            yield {
                "app": app,
                "name": name,
                "path": str(Path(sys.modules[migration.__module__].__file__ or "")),
                "text": "",
                "follows": sorted(migration.dependencies),
                "statements": statements[0] if statements else None,
            }


def _made(
    loader: Any, wish: dict[str, Any], columns: set[tuple[str, str]], present: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    from django.db.migrations import RunSQL, SeparateDatabaseAndState

    owners = _owners(wish["tables"])
    changes = _model_changes(loader, owners, columns)
    main = next(((one["app"], one["name"]) for one in present if one["statements"] is not None), None)
    made = []
    if main is None:
        app = wish["app"] or _home(loader, owners, changes)
        if app not in loader.migrated_apps:
            raise Refused(f"App {app} has no migrations: name another one with --app.")
        states = changes.pop(app, [])
        leaves = {leaf for one in {app, *owners} for leaf in loader.graph.leaf_nodes(one)}
        operation = SeparateDatabaseAndState([RunSQL(wish["statements"])], states)
        made.append(_migration(app, _name(loader, app, wish["mark"]), leaves, operation, wish["statements"]))
        main = app, made[0]["name"]
    for app, states in changes.items():
        leaves = {*loader.graph.leaf_nodes(app), main}
        name = f"{_name(loader, app, wish['mark'])}_fields"
        made.append(_migration(app, name, leaves, SeparateDatabaseAndState([], states), None))
    return made


def _owners(tables: list[str]) -> list[str]:
    """The apps whose models stand for the plan's tables, in the order of the plan."""
    by_table = {model._meta.db_table: model._meta.app_label for model in _models()}
    return list(dict.fromkeys(by_table[table] for table in tables if table in by_table))


def _models() -> list[Any]:
    from django.apps import apps

    models = apps.get_models(include_auto_created=True)
    return [model for model in models if model._meta.managed and not model._meta.proxy]


def _home(loader: Any, owners: list[str], changes: dict[str, list[Any]]) -> str:
    """The app whose history gets the statements: one whose models change, or the first that is the project's own."""
    from django.apps import apps

    own = [app for app in owners if not INSTALLED & set(Path(apps.get_app_config(app).path).parts)]
    found = [app for app in (*changes, *own) if app in loader.migrated_apps]
    if not found:
        raise Refused("No app with migrations has a model for a table of the plan: name one with --app.")
    return found[0]


def _model_changes(loader: Any, owners: list[str], columns: set[tuple[str, str]]) -> dict[str, list[Any]]:
    """What `makemigrations` would write for these apps. Refuses what is not about the plan's columns."""
    from django.apps import apps
    from django.db.migrations.autodetector import MigrationAutodetector
    from django.db.migrations.state import ProjectState

    detector = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps))
    found = detector.changes(loader.graph, trim_to_apps=set(owners) or None)
    changes = {app: [one for each in found[app] for one in each.operations] for app in owners if app in found}
    others = [
        f"{app}: {one.describe()}" for app, each in changes.items() for one in each if not _planned(app, one, columns)
    ]
    if others:
        raise Refused(
            f"The models have other changes than the plan's ({'; '.join(others)}). "
            "Write their migrations first, with `manage.py makemigrations`."
        )
    return changes


def _planned(app: str, operation: Any, columns: set[tuple[str, str]]) -> bool:
    from django.apps import apps
    from django.db.migrations import AddField, AlterField

    if not isinstance(operation, AddField | AlterField):
        return False
    options = apps.get_model(app, operation.model_name)._meta
    return (options.db_table, options.get_field(operation.name).column) in columns


def _name(loader: Any, app: str, mark: str) -> str:
    from django.db.migrations.autodetector import MigrationAutodetector

    numbers = [MigrationAutodetector.parse_number(name) or 0 for _, name in loader.graph.leaf_nodes(app)]
    return f"{max(numbers, default=0) + 1:04}_{mark}"


def _migration(app: str, name: str, leaves: Any, operation: Any, statements: list[str] | None) -> dict[str, Any]:
    from django.db.migrations import Migration
    from django.db.migrations.writer import MigrationWriter

    migration = type("Migration", (Migration,), {"dependencies": sorted(leaves), "operations": [operation]})(name, app)
    writer = MigrationWriter(migration, include_header=False)
    return {
        "app": app,
        "name": name,
        "path": writer.path,
        "text": writer.as_string(),
        "follows": sorted(leaves),
        "statements": statements,
    }


def _fields(columns: set[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """The models' fields for these columns that are no UUIDField yet. What refers to another field follows it."""
    from django.db.models import UUIDField

    for model in _models():
        for field in model._meta.local_concrete_fields:
            column = (model._meta.db_table, field.column)
            inner = getattr(field, "base_field", field)
            if column not in columns or field.is_relation or isinstance(inner, UUIDField):
                continue
            file, line = _place(model, field.name)
            yield {
                "model": model._meta.label,
                "field": field.name,
                "kind": type(inner).__name__,
                "file": file,
                "line": line,
            }


def _place(model: Any, name: str) -> tuple[str, int]:
    """Where the field is said, in the model or in what it inherits; line 0 if its source does not say."""
    for each in model.__mro__:
        if name not in {field.name for field in getattr(getattr(each, "_meta", None), "local_fields", ())}:
            continue
        try:
            lines, first = inspect.getsourcelines(each)
        except (OSError, TypeError):  # A class that no source says.
            break
        said = next((n for n, line in enumerate(lines) if re.match(rf"\s+{name}\s*[:=]", line)), None)
        if said is not None:
            return inspect.getfile(each), first + said
    return sys.modules[model.__module__].__file__ or "", 0


if __name__ == "__main__":
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    json.dump(main(json.load(sys.stdin)), said)
    said.close()
