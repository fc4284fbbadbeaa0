"""Builders return what is to be said: nothing tells statements by their words, or listens to what is executed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
FOLDERS = ("replank", "sql", "producer", "workers", "monitoring", "demo", "benchmarks")

VERBS = frozenset(
    ("ALTER", "ANALYZE", "COMMENT", "CREATE", "DELETE", "DO", "DROP", "GRANT", "INSERT", "LOCK", "REFRESH", "REVOKE")
) | {"SELECT", "SET", "TRUNCATE", "UPDATE", "VACUUM", "VALUES", "WITH"}

NO_STATEMENTS = {
    "monitoring/catalogue_diff/reasons.py": "whether PostgreSQL has defined an index as unique",
    "producer/check/server/event_triggers.py": "tags of event triggers, by which a table of ours is ordered",
}
"""Texts that are like statements, and that nobody executes."""

RESULTS = ("Statement", "list[Statement]", "Iterator[Statement]", "Iterable[Statement]")


def _modules() -> Iterator[tuple[str, list[ast.AST]]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


MODULES = dict(_modules())
"""All nodes of each module."""


def _texts(node: ast.AST) -> Iterator[str]:
    """The texts that it is, or is made of."""
    for each in node.elts if isinstance(node, ast.Set | ast.Tuple | ast.List) else [node]:
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def _compared(node: ast.AST) -> Iterator[str]:
    """Texts that another one is compared with, looked for in, or said to begin with; sets of words."""
    match node:
        case ast.Compare():
            for each in (node.left, *node.comparators):
                yield from _texts(each)
        case ast.Call(func=ast.Attribute(attr="startswith" | "removeprefix")):
            for each in node.args:
                yield from _texts(each)
        case ast.MatchValue():
            yield from _texts(node.value)
        case ast.Set() | ast.Tuple() | ast.List():
            found = list(_texts(node))
            yield from found if len(VERBS & set(found)) > 3 else ()


def _told_by_words(nodes: list[ast.AST]) -> Iterator[int]:
    for node in nodes:
        if any(text.split(None, 1)[:1] and text.split(None, 1)[0] in VERBS for text in _compared(node)):
            yield getattr(node, "lineno", 0)


def test_no_statement_is_told_by_its_words() -> None:
    found = [
        f"{name}:{line}"
        for name, nodes in MODULES.items()
        if name not in NO_STATEMENTS
        for line in _told_by_words(nodes)
    ]
    assert found == []


def test_nothing_listens_to_what_is_said() -> None:
    """No cursor of ours keeps what others execute: who wants to print statements asks for them."""
    found = [
        f"{name}:{node.lineno}"
        for name, nodes in MODULES.items()
        for node in nodes
        if isinstance(node, ast.Attribute) and node.attr == "cursor_factory"
    ]
    assert found == []


def _builders() -> dict[str, str]:
    """`package.module.function` of all that returns statements, with what it returns."""
    return {
        f"{name.removesuffix('.py').replace('/', '.')}.{node.name}": ast.unparse(node.returns)
        for name, nodes in MODULES.items()
        for node in nodes
        if isinstance(node, ast.FunctionDef) and node.returns is not None and ast.unparse(node.returns) in RESULTS
    }


def _imported(name: str, nodes: list[ast.AST]) -> dict[str, str]:
    """What each name of a module stands for, with the functions of its own."""
    here = name.removesuffix(".py").replace("/", ".")
    known = {node.name: f"{here}.{node.name}" for node in nodes if isinstance(node, ast.FunctionDef)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            known |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return known


def test_what_a_builder_returns_is_used() -> None:
    """A call whose statements nobody takes would do nothing, in silence."""
    builders = _builders()
    assert len(builders) > 20
    lost = []
    for name, nodes in MODULES.items():
        known = _imported(name, nodes)
        for node in (each for each in nodes if isinstance(each, ast.Expr)):
            if isinstance(node.value, ast.Call):
                first, _, rest = ast.unparse(node.value.func).partition(".")
                called = ".".join(filter(None, (known.get(first, first), rest)))
                lost += [f"{name}:{node.lineno} {called}"] if called in builders else []
    assert lost == []


def test_one_module_drives_scripts() -> None:
    """Coordinator, finish and rollback go through `drive`: what the ledger says of a script is said there alone."""
    said = re.compile(r"sql\.ledger\.runs\.scripts\.(start|finish|forget)$")
    found = {
        name
        for name, nodes in MODULES.items()
        for known in [_imported(name, nodes)]
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
        if said.search(f"{known.get(node.func.value.id, '')}.{node.func.attr}")
    }
    assert found == {"producer/scripts/planned_scripts.py"}
