"""Step 12: unused indexes are proposed; those that were agreed on are dropped, or built again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from replank.errors import WrongUse
from replank.plan.steps.steps_plan import OptimizePlan
from replank.plan.text.plan_words import split_name
from replank.wording import counted
from sql.scripts import script_templates
from sql.session.connection import Connection, rows
from sql.session.named_queries import query

COUNTED_DAYS = 7.0
"""Before use was counted for so long, nothing is called unused."""

BLOAT = 2.0
BLOATED_FROM_BYTES = 16 * 1024 * 1024
ENTRY_BYTES = 16
"""An index entry beside its values: line pointer, header and alignment."""

FILL = 0.9


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """An index to `drop` or to `reindex`, and why."""

    index: str
    table: str
    action: Literal["drop", "reindex"]
    kind: Literal["duplicate", "redundant", "unused", "bloated", "invalid"]
    bytes: int
    reason: str


def propose(connection: Connection) -> list[Proposal]:
    """What could be dropped or built again. Constraints, replica identities and partitions' indexes are left out."""
    every = rows(connection, query("steps.indexes"))
    by_table: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for index in every:
        by_table[(index["schema"], index["table_name"])].append(index)
    found = [proposal for indexes in by_table.values() for proposal in _of_table(indexes)]
    return sorted(found, key=lambda proposal: (-proposal.bytes, proposal.index))


def _of_table(indexes: Sequence[dict[str, Any]]) -> Iterator[Proposal]:
    gone: set[int] = set()
    for index in indexes:
        if index["needed"]:
            continue
        covering = [o for o in indexes if o["oid"] not in gone and o is not index and _covers(o, index)]
        other = min(covering, key=lambda o: _key(o) != _key(index), default=None)
        if not index["valid"]:
            yield _proposal(
                index, "drop", "invalid", "it is invalid: its build failed, so writes maintain it and no query uses it"
            )
        elif other is not None:
            gone.add(index["oid"])
            same = _key(other) == _key(index)
            words = f"{other['name']} is a duplicate of it" if same else f"{other['name']} starts with the same columns"
            yield _proposal(index, "drop", "duplicate" if same else "redundant", words)
        elif not index["scans"] and not index["is_unique"] and index["counted_days"] >= COUNTED_DAYS:
            words = (
                f"no scan in {counted(round(index['counted_days']), 'day')}; check the replicas too before you agree"
            )
            yield _proposal(index, "drop", "unused", words)
        elif index["method"] == "btree" and _bloat(index) >= BLOAT:
            yield _proposal(index, "reindex", "bloated", f"about {_bloat(index):.1f} times its size without bloat")


def _key(index: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(index[part] for part in ("columns", "classes", "collations", "options", "key_count"))


def _covers(other: Mapping[str, Any], index: Mapping[str, Any]) -> bool:
    """Whether `other` answers everything that `index` does. Of two that are the same, the older one stays."""
    alike = all(other[part] == index[part] for part in ("method", "predicate", "expressions")) and other["valid"]
    if not alike:
        return False
    if _key(other) == _key(index):
        keeps_unique = other["is_unique"] or not index["is_unique"]
        preferred = other["needed"] or (other["is_unique"] and not index["is_unique"]) or other["oid"] < index["oid"]
        return bool(keeps_unique and preferred)
    if index["method"] != "btree" or index["is_unique"] or index["expressions"]:
        return False
    whole = len(index["columns"])
    if index["key_count"] != whole or other["key_count"] <= whole:
        return False
    return all(other[part][:whole] == index[part] for part in ("columns", "classes", "collations", "options"))


def _bloat(index: Mapping[str, Any]) -> float:
    """Its size against what its rows need, by the columns' average widths; 0 where that is not known."""
    if index["rows"] <= 0 or index["bytes"] < BLOATED_FROM_BYTES or index["expressions"] or index["width"] is None:
        return 0.0
    needed = index["rows"] * (float(index["width"]) + ENTRY_BYTES) / FILL + 2 * index["block_size"]
    return float(index["bytes"] / needed)


def _proposal(
    index: Mapping[str, Any],
    action: Literal["drop", "reindex"],
    kind: Literal["duplicate", "redundant", "unused", "bloated", "invalid"],
    reason: str,
) -> Proposal:
    return Proposal(
        index=f"{index['schema']}.{index['name']}",
        table=f"{index['schema']}.{index['table_name']}",
        action=action,
        kind=kind,
        bytes=index["bytes"],
        reason=reason,
    )


def facts(connection: Connection, plan: OptimizePlan) -> Mapping[str, Any]:
    """What the templates of step 12 need. Raises WrongUse where an index is not there, or something needs it."""
    every = {f"{i['schema']}.{i['name']}": i for i in rows(connection, query("steps.indexes"))}
    why = {proposal.index: proposal.kind for proposal in propose(connection)}
    mistakes: list[str] = []
    chosen: dict[str, list[Mapping[str, Any]]] = {"dropped": [], "built_again": []}
    for part, names in (("dropped", plan.drop), ("built_again", plan.reindex)):
        for given in names:
            name = ".".join(split_name(given))
            index = every.get(name)
            if index is None:
                mistakes.append(f"index {name} does not exist")
            elif part == "dropped" and index["needed"]:
                mistakes.append(
                    f"{name} is used by a constraint, a replica identity or the index of a partitioned table"
                )
            else:
                chosen[part].append(
                    {
                        "said": script_templates.as_written(name.replace("\n", " ")),
                        "why": script_templates.as_written(why.get(name, "the plan says so")),
                        "full_name": script_templates.name(index["schema"], index["name"]),
                        "definition": script_templates.as_written(
                            index["definition"].replace(" INDEX ", " INDEX CONCURRENTLY IF NOT EXISTS ", 1)
                        ),
                    }
                )
    if mistakes:
        raise WrongUse("steps.optimize: " + "; ".join(mistakes))
    return chosen
