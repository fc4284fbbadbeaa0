"""No other module than the ledger's reads or writes the ledger's tables.

Tests and benchmarks do: they paint ledgers, and look at them from outside.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("replank", "sql", "monitoring", "producer", "workers", "demo")
LEDGER = ROOT / "sql" / "ledger"
QUERIES = ROOT / "sql" / "queries"

BLOCK = re.compile(r"^-- (\w+): .+$", re.MULTILINE)
MADE = re.compile(r"\bCREATE (?:OR REPLACE )?(?:TABLE|VIEW|FUNCTION) replank\.(\w+)")


@cache
def _relations() -> frozenset[str]:
    """Tables, views and functions, as the revisions make them."""
    revisions = (LEDGER / "upgrades" / "versions").glob("*.sql")
    return frozenset(name for path in revisions for name in MADE.findall(path.read_text(encoding="utf-8")))


def names_one(text: str) -> bool:
    """Whether a query names a relation of the ledger."""
    return any(found in _relations() for found in re.findall(r'\breplank"?\."?(\w+)', text))


def is_sql_of_one(text: str) -> bool:
    """Whether a string is SQL that names a relation of the ledger; `replank.run` alone may be a label of telemetry."""
    where = re.findall(r'(?i)\b(?:FROM|JOIN|INTO|UPDATE|TABLE|ONLY|LOCK|ANALYZE)\s+"?replank"?\."?(\w+)', text)
    return any(found in _relations() for found in where)


def texts(tree: ast.AST) -> Iterator[str]:
    """Strings that are not written for people: neither docstrings nor hints. Of an f-string its constant parts."""
    if isinstance(tree, ast.keyword) and tree.arg == "hint":
        return
    if isinstance(tree, ast.Expr) and isinstance(tree.value, ast.Constant):
        return
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        yield tree.value
    for child in ast.iter_child_nodes(tree):
        yield from texts(child)


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module that is not the ledger's: its path, its strings, and the modules that it imports from."""

    path: str
    texts: frozenset[str]
    imports: frozenset[str]


@pytest.fixture(scope="module")
def others() -> list[Module]:
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return [_read(path) for path in paths if not path.is_relative_to(LEDGER)]


def _read(path: Path) -> Module:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imports |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return Module(path=str(path.relative_to(ROOT)), texts=frozenset(texts(tree)), imports=frozenset(imports))


def _queries_of_the_ledger() -> set[str]:
    """Blocks `file.name` whose SQL names one of its relations."""
    found = set()
    for path in QUERIES.glob("*.sql"):
        _, *parts = BLOCK.split(path.read_text(encoding="utf-8"))
        found |= {f"{path.stem}.{name}" for name, text in zip(parts[::2], parts[1::2], strict=True) if names_one(text)}
    return found


def test_others_ask_no_query_that_names_a_table_of_the_ledger(others: list[Module]) -> None:
    private = _queries_of_the_ledger()
    assert "jobs.claim" in private
    files = {name.partition(".")[0] + "." for name in private}
    # `f"jobs.{what}"` may be any query of the file.
    asked = {(module.path, text) for module in others for text in module.texts & (private | files)}
    assert asked == set()


def test_no_string_of_others_is_sql_that_names_a_table_of_the_ledger(others: list[Module]) -> None:
    found = {(module.path, text) for module in others for text in module.texts if is_sql_of_one(text)}
    assert found == set()


def test_others_do_not_import_what_describes_the_tables(others: list[Module]) -> None:
    found = {module.path for module in others for name in module.imports if name.startswith("sql.ledger.schema")}
    assert found == set()


@pytest.mark.parametrize(
    "planted",
    [
        'connection.execute("SELECT state FROM replank.run")',
        'query(SQL(\'UPDATE "replank"."job" SET rows = 1\'))',
        'f"INSERT INTO replank.event (run_id) VALUES ({run_id})"',
        "x = '''\nDELETE\n  FROM ONLY replank.restraints_on_job(1, 2, 3)'''",
    ],
)
def test_sql_about_the_ledger_is_seen_wherever_it_stands(planted: str) -> None:
    assert any(is_sql_of_one(text) for text in texts(ast.parse(planted)))


@pytest.mark.parametrize(
    "planted",
    [
        '"""SELECT state FROM replank.run"""',
        'span.set_attributes({"replank.run": 1})',
        'NeedsOperator("It failed.", hint="Ask: SELECT begun_by FROM replank.run;")',
        'connection.execute("SELECT * FROM replank.log_1_2")',
    ],
)
def test_words_and_labels_are_no_sql(planted: str) -> None:
    assert not any(is_sql_of_one(text) for text in texts(ast.parse(planted)))
