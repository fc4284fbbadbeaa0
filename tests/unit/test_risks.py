"""Findings of the check come in the order of what they put at risk, and every one has its place."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from producer.check.findings import Report, blocker, warning
from producer.check.risks import RISK_OF, Risk

pytestmark = pytest.mark.unit

CHECK = Path(__file__).parents[2] / "producer" / "check"
MAKERS = {"blocker", "warning", "make", "kind"}


def _codes() -> Iterator[str]:
    """The codes that the check's source gives to findings: literals, and constants of the same module."""
    for file in sorted(CHECK.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS):
                continue
            given = node.args[0] if node.args else None
            for code in (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,):
                if isinstance(code, ast.Constant):
                    yield str(code.value)
                elif isinstance(code, ast.Name) and code.id in constants:
                    yield str(constants[code.id])


def test_every_code_has_a_risk() -> None:
    codes = set(_codes())
    assert len(codes) > 90
    assert codes - RISK_OF.keys() == set()
    assert RISK_OF.keys() - codes == set(), "these are told by nothing"


def test_what_is_at_risk_comes_first() -> None:
    found = [
        warning("disk_unknown", "", hint="", table="a"),
        warning("long_transaction", "", hint="", table="b"),
        blocker("no_key", "", hint="", table="c"),
        warning("query_will_break", "", hint="", table="d"),
        blocker("collision", "", hint="", table="f"),
        blocker("orphans", "", hint="", table="e"),
        warning("odd_spelling", "", hint="", table="g"),
    ]
    report = Report.of(found, rows=0, tables=0, hold_ms=None)
    # Within one risk they stay as they were found
    assert [f.table for f in report.blockers] == ["f", "e", "c"]
    assert [f.table for f in report.warnings] == ["g", "d", "b", "a"]
    assert [f["risk"] for f in report.to_json()["warnings"]] == ["data", "application", "time", "unknown"]
    assert report.blockers[0].risk is Risk.DATA
