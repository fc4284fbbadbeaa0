"""The suites import what they share from `support`, and nothing of each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

TESTS = Path(__file__).parents[1]
SHARED = "support"
MOST_MODULES = 15


def _suites() -> set[str]:
    return {folder.name for folder in TESTS.iterdir() if folder.is_dir() and any(folder.rglob("*.py"))} - {SHARED}


def _imported(module: Path) -> Iterator[str]:
    """The full names of all modules that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level


def strangers(module: Path) -> list[str]:
    """What a module imports of suites that are not its own; relative imports could lead anywhere and count too."""
    own = module.relative_to(TESTS).parts[0]
    others = _suites() - {own}
    return [name for name in _imported(module) if name.split(".")[0] in others or name.startswith(".")]


@pytest.mark.parametrize("suite", sorted({*_suites(), SHARED}))
def test_a_suite_imports_nothing_of_another(suite: str) -> None:
    found = {str(module.relative_to(TESTS)): strangers(module) for module in (TESTS / suite).rglob("*.py")}
    assert not {name: names for name, names in found.items() if names}


def test_the_rule_sees_what_breaks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.TESTS", tmp_path)
    for suite in ("one", "other", SHARED):
        (tmp_path / suite).mkdir()
    module = tmp_path / "one" / "test_it.py"
    (tmp_path / "other" / "world.py").touch()
    module.write_text("import one.own\nimport support.runs.waiting\ndef f():\n    from other.world import x\n")
    assert strangers(module) == ["other.world"]
    (tmp_path / SHARED / "runs.py").write_text("import one\nfrom .waiting import LONG\n")
    assert strangers(tmp_path / SHARED / "runs.py") == ["one", "."]


@pytest.mark.parametrize("folder", sorted({module.parent for module in (TESTS / SHARED).rglob("*.py")}), ids=str)
def test_a_room_of_the_support_has_one_subject_and_few_modules(folder: Path) -> None:
    modules = [module for module in folder.glob("*.py") if module.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES
    assert (folder / "__init__.py").read_text(encoding="utf-8").startswith('"""'), "it does not say its subject"
