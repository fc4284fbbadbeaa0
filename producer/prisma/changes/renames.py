"""Step 07 and the schema file: models and fields keep their names and say what the database calls them (`@map`).

The plan has the new names, the database has old or new ones, the file has either. What a name becomes is a rule over
names alone (`MappingsPlan`), so each side finds the other, before the run and after it.
"""

from __future__ import annotations

from collections.abc import Mapping

from producer.history.changes.changes import (
    AddedColumn,
    AddedIndex,
    Change,
    RenamedColumn,
    RenamedTable,
)
from producer.history.changes.names_now import Names, told
from producer.prisma.schema.document import Document
from producer.prisma.schema.schema_names import Table, column_of, columns, table_of
from replank.plan.steps.mappings_plan import MappingsPlan
from sql.catalogue.catalogue import LiveTable


def renames_of(
    plan: MappingsPlan | None, document: Document, live: Mapping[Table, LiveTable], schema: str
) -> list[Change]:
    """What step 07 renames of the models of the file, by its names. Tables that are not there stay."""
    found: list[Change] = []
    for block in document.models if plan is not None else ():
        table = table_of(block, schema)
        to = plan.table_to(*table) if plan is not None else ""
        there = live.get(table) or live.get((table[0], to))
        if plan is None or there is None:
            continue
        for name in (column_of(field) for field in columns(document, block)):
            after = plan.column_to(*table, name)
            if after != name and (there.column(name) or there.column(after)):
                found.append(RenamedColumn(table=table, column=name, to=after))
        if to != table[1]:
            found.append(RenamedTable(table=table, to=to))
    return found


def file_name(plan: MappingsPlan | None, document: Document, named: Table, schema: str) -> tuple[Table, Names]:
    """What the file calls a table and its columns, given by their names of after step 07."""
    blocks = {table_of(block, schema): block for block in document.of_kind("model", "view")}
    olds = (
        table for table in blocks if plan is not None and table[0] == named[0] and plan.table_to(*table) == named[1]
    )
    table = named if named in blocks else next(olds, named)
    if plan is None or table not in blocks:
        return table, {}
    names = (column_of(field) for field in columns(document, blocks[table]))
    return table, {plan.column_to(*table, name): name for name in names}


def in_file(plan: MappingsPlan | None, document: Document, change: Change, schema: str) -> Change:
    """A change of a step, whose table has its name of now, in the names of the file."""
    if plan is None or not isinstance(change, AddedColumn | AddedIndex):
        return change
    table, names = file_name(plan, document, (change.table[0], plan.table_to(*change.table)), schema)
    columns = change.columns if isinstance(change, AddedIndex) else (change.column,)
    to_file = {column: plan.column_to(*change.table, column) for column in columns}
    return told(change, table, {column: names.get(new, column) for column, new in to_file.items()})
