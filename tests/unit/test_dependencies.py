"""Whatever a module imports, the distribution that brings it is asked for, by the project or by an extra."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PACKAGES = ("replank", "sql", "monitoring", "producer", "workers", "demo")
EXTRAS = {"demo": ("embedded",), "monitoring": ("tracing",), "producer": ("alembic", "django")}
"""Which extras a package may lean on, beside what is always there."""

OF_A_PROJECT = {("demo/datasets/shop/project/migrations/env.py", "shop")}
"""What a sample application calls its own models: Alembic runs this file in the project's folder."""


def _imported(package: str) -> Iterator[tuple[Path, str]]:
    for file in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((file, alias.name.partition(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield file, node.module.partition(".")[0]


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_import_is_of_a_distribution_that_is_asked_for(package: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {_name(one) for one in project["dependencies"]}
    for extra in EXTRAS.get(package, ()):
        asked |= {_name(one) for one in project["optional-dependencies"][extra]}
    brought_by = packages_distributions()
    missing = {
        (str(file.relative_to(ROOT)), module)
        for file, module in _imported(package)
        if module not in (*sys.stdlib_module_names, *PACKAGES)
        and not {name.lower().replace("_", "-") for name in brought_by.get(module, ["?"])} & asked
    }
    assert missing - OF_A_PROJECT == set()
