"""The indexes that step 02 builds for foreign keys: found before it has run and after the whole run alike.

What a run has built, its ledger says by name: tables have other names after step 07, and a foreign key may be gone
after the swap. Scripts that were run by hand leave no ledger: their indexes are known by the names that they give,
those of before step 07 too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from producer.history.changes.changes import AddedIndex, Table
from replank.names import beginning_of_cut
from replank.plan.steps.mappings_plan import MappingsPlan
from replank.plan.steps.steps_plan import IndexesPlan
from replank.plan.text.plan_words import split_name
from replank.values.steps import STEPS
from sql.catalogue import prisma
from sql.catalogue.catalogue import LiveTable, read_foreign_keys
from sql.catalogue.relations import free_name, taken_names, unled_foreign_keys
from sql.ledger.runs import scripts
from sql.ledger.upgrades.ledger import ledger_exists
from sql.session.connection import Connection

INDEX_STEP = STEPS[1].name

_NAME = r'"((?:[^"]|"")+)"'
_BUILT = re.compile(rf"^CREATE INDEX (?:CONCURRENTLY )?IF NOT EXISTS {_NAME}\s+ON (?:ONLY )?{_NAME}\.")


def foreign_key_indexes(
    connection: Connection, plan: IndexesPlan, named: Mapping[Table, LiveTable], rule: MappingsPlan | None
) -> list[AddedIndex]:
    """Those that are to be built and those that were, in one order; the plan and `named` in the names of now."""
    wanted = set(named) if plan.tables is None else {split_name(name) for name in plan.tables}
    own = {(split_name(index.table)[0], index.name) for index in plan.add}
    found = {(one.table[0], one.name): one for one in _to_build(connection, wanted, named)}
    for one in _built(connection, {name: table for name, table in named.items() if name in wanted}, rule):
        found.setdefault((one.table[0], one.name), one)
    # By name: the order of tables' names is another one after step 07.
    return [found[key] for key in sorted(found) if key not in own]


def _to_build(connection: Connection, wanted: set[Table], named: Mapping[Table, LiveTable]) -> Iterator[AddedIndex]:
    taken = {schema: taken_names(connection, schema) for schema in {schema for schema, _ in named}}
    seen: set[tuple[Table, frozenset[str]]] = set()
    for key in unled_foreign_keys(connection):
        table = (key.schema, key.table_name)
        if table not in wanted or (table, frozenset(key.columns)) in seen:
            continue
        seen.add((table, frozenset(key.columns)))
        name = free_name((key.table_name, *key.columns), "idx", taken[key.schema])
        taken[key.schema].add(name)
        yield AddedIndex(table=table, name=name, columns=key.columns)


def _built(
    connection: Connection, wanted: Mapping[Table, LiveTable], rule: MappingsPlan | None
) -> Iterator[AddedIndex]:
    by_oid = {table.oid: name for name, table in wanted.items()}
    said = _said_by_ledger(connection)
    keys = [key for key in read_foreign_keys(connection, list(by_oid)) if key.table_oid in by_oid]
    for oid, table in by_oid.items():
        over = {key.columns for key in keys if key.table_oid == oid}
        for index in prisma.read_live_indexes(connection, [oid]):
            if index.columns is None or not index.plain or index.is_unique or index.method != "btree":
                continue
            for_key = index.columns in over and _named_by_step(rule, table, index.columns, index.name)
            if for_key or (table[0], index.name) in said:
                yield AddedIndex(table=table, name=index.name, columns=index.columns)


def _said_by_ledger(connection: Connection) -> set[tuple[str, str]]:
    """Schema and name of every index that a script of step 02 has built, of whichever run."""
    if not ledger_exists(connection):
        return set()
    begun = scripts.begun_of_step(connection, INDEX_STEP)
    built = (_BUILT.match(block.sql) for script in begun for block in script.blocks)
    return {(each.group(2).replace('""', '"'), each.group(1).replace('""', '"')) for each in built if each}


def _named_by_step(rule: MappingsPlan | None, table: Table, columns: Sequence[str], name: str) -> bool:
    """Whether step 02 would give this name: by the names of now, or by those of before step 07, which indexes keep."""
    given = free_name((table[1], *columns), "idx", ()).removesuffix("_idx")
    if name.startswith(given) or rule is None:
        return name.startswith(given)
    found = re.search(r"_idx\d*$", name)
    ending = found.group() if found else ""
    beginning = beginning_of_cut(name, ending=ending)
    cut_off = beginning is not None
    parts = (name.removesuffix(ending) if beginning is None else beginning).split("_")
    for cuts in combinations(range(1, len(parts)), len(columns)):
        ends = (*cuts, len(parts))
        old, *olds = ("_".join(parts[start:end]) for start, end in zip((0, *cuts), ends, strict=True))
        if rule.table_to(table[0], old) != table[1]:
            continue
        now = [rule.column_to(table[0], old, column) for column in olds]
        if now == list(columns) or (cut_off and now[:-1] == list(columns[:-1]) and columns[-1].startswith(now[-1])):
            return True
    return False
