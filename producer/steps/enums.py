"""Step 05: enum types with the values they should have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replank.errors import WrongUse
from replank.steps_plan import EnumPlan
from sql import scripts
from sql.connection import Connection
from sql.relations import enum_labels


def facts(connection: Connection, plan: tuple[EnumPlan, ...]) -> Mapping[str, Any]:
    """What the templates of step 05 need. Raises WrongUse where a rename has nothing to rename."""
    mistakes: list[str] = []
    found: list[Mapping[str, Any]] = []
    for enum in plan:
        said = f"{enum.table_schema}.{enum.name}"
        present = enum_labels(connection, enum.table_schema, enum.name)
        mistakes += [f"{said}: {words}" for words in _mistakes(enum, present)]
        full = scripts.name(enum.table_schema, enum.name)
        renamed = set(enum.rename.values()) | set(enum.rename)
        found.append(
            {
                "said": scripts.as_written(said.replace("\n", " ")),
                "name": full,
                "regtype": scripts.text(full),
                "is_ours": present is None,
                "labels": scripts.as_written(", ".join(map(scripts.text, enum.values))) if present is None else None,
                "renames": [{"old": scripts.text(old), "new": scripts.text(new)} for old, new in enum.rename.items()],
                "added": [
                    scripts.text(v) for v in enum.values if present is not None and v not in {*present, *renamed}
                ],
            }
        )
    if mistakes:
        raise WrongUse("steps.enums: " + "; ".join(mistakes))
    return {"enums": found}


def _mistakes(enum: EnumPlan, present: tuple[str, ...] | None) -> list[str]:
    if present is None:
        return ["there is no such type, and nothing of it can be renamed"] if enum.rename else []
    if not present:
        return ["this type is no enum"]
    wrong = [f"it has no value {old}" for old in enum.rename if old not in present]
    return wrong + [f"it has a value {new} already" for new in enum.rename.values() if new in present]
