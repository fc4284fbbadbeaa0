"""Import SQLAlchemy models and say what they know, as one JSON object.

Run as a program by the interpreter that has the application's packages: `python read_models.py package.module:name`.
It imports nothing of Replank's. What the application prints goes to standard error.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any


def main(reference: str) -> dict[str, Any]:
    from sqlalchemy import event
    from sqlalchemy.orm import Mapper, configure_mappers

    mappers: list[Any] = []
    event.listen(Mapper, "after_mapper_constructed", lambda mapper, _: mappers.append(mapper))
    # Instead of this folder, whose names are no modules of the application.
    sys.path[0] = os.getcwd()
    metadata = _metadata(reference)
    configure_mappers()
    mapped: dict[Any, list[Any]] = {}
    for mapper in mappers:
        if getattr(mapper.local_table, "metadata", None) is metadata:
            mapped.setdefault(mapper.local_table, []).append(mapper)
    tables = metadata.tables.values()
    packages = {reference.partition(".")[0].partition(":")[0], *_packages(mappers)}
    return {
        "tables": [_table(table, mapped.get(table, ())) for table in tables],
        "files": sorted(_files(packages)),
        "statements": [one for file in sorted(_all_files(packages)) for one in _statements(file)],
    }


def _metadata(reference: str) -> Any:
    from sqlalchemy import MetaData

    module, _, path = reference.partition(":")
    found: Any = importlib.import_module(module)
    for name in (path or "metadata").split("."):
        found = getattr(found, name)
    found = getattr(found, "metadata", found)
    if not isinstance(found, MetaData):
        raise SystemExit(f"{reference} is {type(found).__name__}, not a MetaData or a class that has one")
    return found


def _packages(mappers: list[Any]) -> set[str]:
    return {mapper.class_.__module__.partition(".")[0] for mapper in mappers}


def _files(packages: set[str]) -> Iterator[str]:
    """The source files of the application's modules that were loaded."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in packages and file and file.endswith(".py"):
            yield file


def _all_files(packages: set[str]) -> set[str]:
    """The source files of the application's packages, loaded or not: statements stand elsewhere than models."""
    found = set(_files(packages))
    for name in packages:
        for folder in getattr(sys.modules.get(name), "__path__", ()):
            found |= {str(path) for path in Path(folder).rglob("*.py")}
    return found


def _statements(file: str) -> Iterator[dict[str, Any]]:
    """Every `text("…")` with a value in it, parsed and not run; `typed`: the values with a type in `bindparams(…)`."""
    source = Path(file).read_bytes()
    if b"text(" not in source:
        return
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        # E.g. a template with the ending of a program.
        return
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    bound = [(node.func, node) for node in calls if _called(node, "bindparams")]
    typed = {id(func.value): list(_typed(node)) for func, node in bound if isinstance(func, ast.Attribute)}
    for node in calls:
        said = node.args[0] if _called(node, "text") and node.args else None
        if isinstance(said, ast.Constant) and isinstance(said.value, str) and ":" in said.value:
            yield {"file": file, "line": node.lineno, "text": said.value, "typed": typed.get(id(node), [])}


def _called(node: Any, name: str) -> bool:
    """Whether a call is of `name` or of `….name`."""
    return name in (getattr(node.func, "id", None), getattr(node.func, "attr", None))


def _typed(node: ast.Call) -> Iterator[str]:
    for one in node.args:
        if isinstance(one, ast.Call) and _called(one, "bindparam") and one.args:
            name, given = one.args[0], len(one.args) > 2 or any(word.arg == "type_" for word in one.keywords)
            if given and isinstance(name, ast.Constant):
                yield str(name.value)


def _table(table: Any, mappers: Any) -> dict[str, Any]:
    from sqlalchemy import UniqueConstraint

    return {
        "schema": table.schema,
        "name": table.name,
        "columns": [_column(column, mappers) for column in table.columns],
        "primary_key": [column.name for column in table.primary_key.columns],
        "indexes": [
            {"name": index.name, "columns": [getattr(c, "name", None) for c in index.columns], "unique": index.unique}
            for index in table.indexes
        ],
        "uniques": [
            {"name": one.name, "columns": [column.name for column in one.columns]}
            for one in table.constraints
            if isinstance(one, UniqueConstraint)
        ],
        "foreign_keys": [
            {
                "columns": [element.parent.name for element in key.elements],
                "ref_schema": key.referred_table.schema,
                "ref_table": key.referred_table.name,
                "ref_columns": [element.column.name for element in key.elements],
            }
            for key in table.foreign_key_constraints
        ],
        "models": [_model(mapper) for mapper in mappers],
    }


def _column(column: Any, mappers: Any) -> dict[str, Any]:
    from sqlalchemy import types

    kind = column.type
    inner = kind.impl_instance if isinstance(kind, types.TypeDecorator) else kind
    default = column.default
    attributes = {m.get_property_by_column(column).key for m in mappers if column in m.columns.values()}
    return {
        "name": column.name,
        "attributes": sorted(attributes),
        "type": repr(kind),
        "is_text": isinstance(inner, types.String) and not isinstance(inner, types.Enum),
        "is_uuid": isinstance(inner, types.Uuid),
        "nullable": column.nullable,
        "default": None if default is None else _default(default),
        "server_default": _server_default(column.server_default),
    }


def _server_default(default: Any) -> str | None:
    """As SQL; empty for what is no default's text, e.g. an identity."""
    if default is None:
        return None
    said = getattr(default, "arg", "")
    return "'" + said.replace("'", "''") + "'" if isinstance(said, str) and said else str(said)


def _default(default: Any) -> str:
    """A default that the models make, as their source says it, as a value or as SQL."""
    if default.is_sequence:
        return f"Sequence({default.name!r})"
    if default.is_clause_element:
        # Its repr is an address in memory, another one each time.
        return str(default.arg)
    if not default.is_callable:
        return repr(default.arg)
    made = inspect.unwrap(default.arg)
    name = getattr(made, "__qualname__", type(made).__name__)
    if "<" not in name:
        return f"{made.__module__}.{name}"
    try:
        # All of the lines that a lambda stands in.
        return " ".join(inspect.getsource(made).split())
    except (OSError, TypeError):
        return name


def _model(mapper: Any) -> dict[str, Any]:
    """Its class with every class that it inherits, nearest first, each with its file."""
    made = mapper.class_
    return {
        "name": f"{made.__module__}.{made.__qualname__}",
        "classes": [one for cls in made.__mro__ if (one := _class(cls)) is not None],
        "relationships": [
            {
                "name": one.key,
                "to": f"{one.mapper.class_.__module__}.{one.mapper.class_.__qualname__}",
                "pairs": [[_named(local), _named(remote)] for local, remote in one.local_remote_pairs],
            }
            for one in mapper.relationships
        ],
    }


def _named(column: Any) -> list[Any]:
    return [column.table.schema, column.table.name, column.name] if hasattr(column.table, "schema") else []


def _class(cls: type) -> dict[str, Any] | None:
    try:
        file = inspect.getsourcefile(cls)
        line = None if file is None else _lines(file).get(cls.__qualname__)
    except (OSError, TypeError, SyntaxError):
        return None
    return None if line is None else {"file": file, "name": cls.__qualname__, "line": line}


@cache
def _lines(file: str) -> dict[str, int]:
    """The first line of each class of a file. `inspect` would parse it once more for every class and its bases."""
    found: dict[str, int] = {}

    def look(node: ast.AST, names: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            inside = names
            if isinstance(child, ast.ClassDef):
                inside = (*names, child.name)
                first = child.decorator_list[0] if child.decorator_list else child
                found.setdefault(".".join(inside), first.lineno)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                inside = (*names, child.name, "<locals>")
            look(child, inside)

    look(ast.parse(Path(file).read_bytes()), ())
    return found


if __name__ == "__main__":
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    json.dump(main(sys.argv[1]), said)
    said.close()
