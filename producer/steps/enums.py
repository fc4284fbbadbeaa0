"""Step 05: enum types with the values they should have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replank.errors import WrongUse
from replank.plan.steps.steps_plan import EnumPlan
from sql.catalogue.relations import enum_labels
from sql.scripts import script_templates
from sql.session.connection import Connection


def facts(connection: Connection, plan: tuple[EnumPlan, ...]) -> Mapping[str, Any]:
    """What the templates of step 05 need. Raises WrongUse where a rename has nothing to rename."""
    mistakes: list[str] = []
    found: list[Mapping[str, Any]] = []
    for enum in plan:
        said = f"{enum.table_schema}.{enum.name}"
        present = enum_labels(connection, enum.table_schema, enum.name)
        mistakes += [f"{said}: {words}" for words in _mistakes(enum, present)]
        full = script_templates.name(enum.table_schema, enum.name)
        renamed = set(enum.rename.values()) | set(enum.rename)
        found.append(
            {
                "said": script_templates.as_written(said.replace("\n", " ")),
                "name": full,
                "regtype": script_templates.text(full),
                "is_ours": present is None,
                "labels": script_templates.as_written(", ".join(map(script_templates.text, enum.values)))
                if present is None
                else None,
                "renames": [
                    {"old": script_templates.text(old), "new": script_templates.text(new)}
                    for old, new in enum.rename.items()
                ],
                "added": [
                    script_templates.text(v)
                    for v in enum.values
                    if present is not None and v not in {*present, *renamed}
                ],
            }
        )
    if mistakes:
        raise WrongUse("steps.enums: " + "; ".join(mistakes))
    return {"enums": found}


def _mistakes(enum: EnumPlan, present: tuple[str, ...] | None) -> list[str]:
    if present is None:
        return ["this type does not exist, so no value of it can be renamed"] if enum.rename else []
    if not present:
        return ["this type is not an enum"]
    wrong = [f"it has no value {old}" for old in enum.rename if old not in present]
    return wrong + [f"it has a value {new} already" for new in enum.rename.values() if new in present]
