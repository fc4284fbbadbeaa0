"""What comes out of the ledger is a value with a type: no row crosses its border as a dictionary."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

LEDGER = Path(__file__).parents[2] / "sql" / "ledger"

JSON = {"to_json", "bounds_json", "document", "measured"}
"""What gives or holds JSON, and says so by its name: it is written and read by others."""

UNTYPED = ("dict[str, Any]", "Mapping[str, Any]")


def _functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for file in sorted(LEDGER.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield f"{file.relative_to(LEDGER)}: {node.name}", node


def test_no_function_returns_a_row_as_a_dictionary() -> None:
    functions = [(place, node) for place, node in _functions() if not node.name.startswith("_")]
    assert len(functions) > 150
    returned = [
        place
        for place, node in functions
        if node.returns is not None
        and node.name not in JSON
        and any(untyped in ast.unparse(node.returns) for untyped in UNTYPED)
    ]
    assert returned == []


def test_no_module_asks_for_rows_as_dictionaries() -> None:
    """`row` and `rows` of a session give dictionaries; a `Query` gives values."""
    asking = []
    for file in sorted(LEDGER.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "sql.session.connection":
                asking += [str(file.relative_to(LEDGER)) for alias in node.names if alias.name in ("row", "rows")]
    assert asking == []
