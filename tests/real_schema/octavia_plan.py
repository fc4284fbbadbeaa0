"""Plans as `inspect` proposed them, changed as a person does with an editor."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def leave_out(plan: Path, table: str) -> None:
    """Take a table out of a plan, as a person does with an editor."""
    head, *tables = plan.read_text(encoding="utf-8").split("[[tables]]\n")
    kept = [one for one in tables if f'\nname = "{table}"\n' not in f"\n{one.split('[[tables.columns]]')[0]}"]
    assert len(kept) == len(tables) - 1
    plan.write_text("[[tables]]\n".join([head, *kept]), encoding="utf-8")


def write_few(plan: Path, path: Path) -> Path:
    """A plan of two tables of it: the ids of the others stay texts, and all have them of one mixin."""
    head, *tables = plan.read_text(encoding="utf-8").split("[[tables]]\n")
    few = [one for one in tables if 'name = "availability_zone' in one]
    assert len(few) == 2
    path.write_text("[[tables]]\n".join([head, *few]), encoding="utf-8")
    return path


def planned(plan: Path) -> tuple[tuple[str, str], ...]:
    tables: list[Mapping[str, Any]] = tomllib.loads(plan.read_text(encoding="utf-8"))["tables"]
    return tuple((table["name"], column["name"]) for table in tables for column in table["columns"])
