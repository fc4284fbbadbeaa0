"""Changes that say the same, together: thirteen partitions whose column becomes uuid are one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.catalogue_diff.changes import NOT_ASKED, CatalogueChange
from replank.wording import counted

MOST_NAMES = 4
"""So many tables, or objects, are named in a line; the rest is counted."""

# What follows from a column's type is not said beside it.
_FOLLOWS = ("collation ", "storage ", "compression ")
_PLURAL = {"index": "indexes", "policy": "policies", "privileges": "privileges", "statistics": "statistics"}
RELATION = "relation"
"""What a group is of that holds a whole relation with all that hangs on it."""


@dataclass(frozen=True, kw_only=True)
class ChangeGroup:
    """Changes of the same kind for the same reason. `change` says what became of each of them."""

    what: str
    change: str
    reason: str
    changes: tuple[CatalogueChange, ...]

    @property
    def explained(self) -> bool:
        return self.reason != ""

    @property
    def objects(self) -> str:
        """What it is about, in one line."""
        where = _places(self.changes)
        if self.what == RELATION:
            return f"{where} with all that hangs on {'it' if _relations(self.changes) == 1 else 'them'}"
        names = list(dict.fromkeys(change.name for change in self.changes))
        if self.what == "column":
            return f"column {names[0]} of {where}"
        if len(self.changes) == 1:
            return f"{self.what} {names[0]} of {where}" if names[0] else f"{self.what} of {where}"
        several = f"{len(self.changes):,} {_PLURAL.get(self.what, self.what + 's')} of {where}"
        return f"{several}: {_some(names)}" if names[0] else several

    def to_json(self) -> dict[str, Any]:
        return {
            "objects": [change.object for change in self.changes],
            "change": self.change,
            "reason": self.reason or NOT_ASKED,
            "explained": self.explained,
        }


def group_changes(changes: Iterable[CatalogueChange]) -> list[ChangeGroup]:
    """All changes in groups, what no plan explains first."""
    changes = list(changes)
    whole = _whole_relations(changes)
    found: dict[tuple[str, ...], list[CatalogueChange]] = {}
    for change in changes:
        found.setdefault(_alike(change, whole), []).append(change)
    groups = [
        ChangeGroup(
            what=key[0],
            change=key[1],
            reason=whole[members[0].relation] if key[0] == RELATION else members[0].reason,
            changes=tuple(members),
        )
        for key, members in found.items()
    ]
    return sorted(groups, key=lambda group: group.explained)


def _whole_relations(changes: Sequence[CatalogueChange]) -> dict[str, str]:
    """Relations that are new or gone, with what the plan says of them."""
    return {
        change.relation: change.reason
        for change in changes
        if change.what == "table" and change.explained and None in (change.before, change.after)
    }


def _alike(change: CatalogueChange, whole: dict[str, str]) -> tuple[str, ...]:
    """What a change has in common with those that it is one line with: first what it is, then what became of it."""
    new_or_gone = "new" if change.before is None else "gone" if change.after is None else ""
    if change.relation in whole and new_or_gone and change.explained:
        return (RELATION, new_or_gone, change.table, whole[change.relation])
    if change.what == "column":
        return (change.what, new_or_gone or _column_change(change), change.name, change.reason)
    if change.explained:
        return (change.what, new_or_gone or "changed", change.reason)
    # The plan does not ask for it: what it was and is must be seen, so only equal changes of partitions share a line.
    said = _without_own_names(change, change.before), _without_own_names(change, change.after)
    return (change.what, new_or_gone or "changed", change.table, *said)


def _column_change(change: CatalogueChange) -> str:
    """`character varying(36) → uuid`, and what else is different beside what its type decides."""
    was, became = (change.before or "").split("; "), (change.after or "").split("; ")
    only_was = [part for part in was if part not in became and not part.startswith(_FOLLOWS)]
    only_became = [part for part in became if part not in was and not part.startswith(_FOLLOWS)]
    if was[0] == became[0] and not only_was and not only_became:
        only_was, only_became = [p for p in was if p not in became], [p for p in became if p not in was]
    return f"{'; '.join(only_was) or 'nothing'} → {'; '.join(only_became) or 'nothing'}"


def _without_own_names(change: CatalogueChange, definition: str | None) -> str:
    """A definition without the names that partitions have for themselves."""
    if definition is None:
        return ""
    parts = [part for part in definition.split("; ") if not part.startswith(("part of ", "bound "))]
    said = "; ".join(parts).replace(" ON ONLY ", " ON ")
    for name in (change.name, change.relation):
        said = said.replace(name, "…") if name else said
    return said


def _relations(changes: Sequence[CatalogueChange]) -> int:
    return len({change.relation for change in changes})


def _places(changes: Sequence[CatalogueChange]) -> str:
    """`public.event and its 13 partitions; public.account`."""
    by_table: dict[str, set[str]] = {}
    for change in changes:
        by_table.setdefault(change.table, set()).add(change.relation)
    said = [_place(table, relations) for table, relations in by_table.items()]
    more = f" and {len(said) - MOST_NAMES:,} more" if len(said) > MOST_NAMES else ""
    return "; ".join(said[:MOST_NAMES]) + more


def _place(table: str, relations: set[str]) -> str:
    partitions = len(relations - {table})
    if not partitions:
        return table
    if partitions == 1 and table not in relations:
        return next(iter(relations))
    parts = counted(partitions, "partition")
    return f"{table} and its {parts}" if table in relations else f"{parts} of {table}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
