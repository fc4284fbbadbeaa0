"""A schema file learns what changed in the database: only the lines that must change do, and only once."""

from __future__ import annotations

from collections.abc import Sequence

from producer.history.changes.changes import (
    AddedColumn,
    AddedIndex,
    Change,
    EnumValues,
    KeyChanged,
    LostForeignKey,
    RenamedColumn,
    RenamedEnum,
    RenamedTable,
    SettledColumn,
    ToEnum,
    ToUuid,
)
from producer.prisma.changes import field_changes, table_changes
from producer.prisma.changes.enum_changes import enum_values
from producer.prisma.changes.field_order import in_order
from producer.prisma.schema.document import Block, Document
from producer.prisma.schema.reader import read_schema
from producer.prisma.schema.schema_names import Kind, Table, criteria, name_of, table_of
from producer.prisma.schema.writer import write_schema

_ORDER: tuple[type[Change], ...] = (
    LostForeignKey,
    EnumValues,
    AddedColumn,
    ToUuid,
    SettledColumn,
    ToEnum,
    KeyChanged,
    AddedIndex,
    RenamedColumn,
    RenamedTable,
    RenamedEnum,
)
"""Columns come before the keys over them, and names last: every change is told in the names from before."""

OfBlock = (
    ToUuid
    | AddedColumn
    | SettledColumn
    | ToEnum
    | KeyChanged
    | AddedIndex
    | LostForeignKey
    | RenamedTable
    | RenamedColumn
    | RenamedEnum
)
"""Changes of a block that the file has."""

_Known = dict[tuple[str, Kind, tuple[str, ...], str], str]


def rewrite(text: str, changes: Sequence[Change], *, ordered: bool = False, default_schema: str = "public") -> str:
    """The schema file after these changes. A second time nothing changes.

    `ordered` also puts the fields of every model into one order (see `field_order`). Changes of tables that no
    model stands for are passed over. Raises WrongUse if the text cannot be read.
    """
    document = read_schema(text)
    names = [one for one in changes if isinstance(one, RenamedTable | RenamedColumn | RenamedEnum)]
    for change in sorted((one for one in changes if one not in names), key=_place):
        document = _applied(document, change, default_schema)
    before, told = _names(document), _told_by_name(document, names, default_schema)
    for change in sorted(names, key=_place):
        document = _applied(document, change, default_schema)
    document = _keep_names(document, before, told)
    return write_schema(in_order(document) if ordered else document)


def _told_by_name(
    document: Document, names: Sequence[RenamedTable | RenamedColumn | RenamedEnum], default_schema: str
) -> set[str]:
    """The models whose keys and indexes kept their names, though Prisma would derive others by now."""
    kept: set[str] = set()
    gone: set[str] = set()
    for one in names:
        block = _block(document, one, default_schema)
        if block is not None and isinstance(one, RenamedTable | RenamedColumn):
            (kept if one.kept_names else gone).add(block.name)
    return kept - gone


def _place(change: Change) -> int:
    return _ORDER.index(type(change))


def _applied(document: Document, change: Change, default_schema: str) -> Document:
    if isinstance(change, EnumValues):
        return enum_values(document, change, default_schema)
    block = _block(document, change, default_schema)
    if block is None:
        return document
    match change:
        case ToUuid():
            return field_changes.to_uuid(document, block, change)
        case AddedColumn():
            return field_changes.added_column(document, block, change)
        case SettledColumn():
            return field_changes.normalized_column(document, block, change)
        case ToEnum():
            return field_changes.to_enum(document, block, change, default_schema)
        case KeyChanged():
            return table_changes.key_changed(document, block, change)
        case AddedIndex():
            return table_changes.added_index(document, block, change)
        case LostForeignKey():
            return table_changes.lost_foreign_key(document, block, change)
        case RenamedColumn():
            return field_changes.renamed_column(document, block, change)
        case RenamedTable():
            return table_changes.renamed_table(document, block, change)
        case RenamedEnum():
            return table_changes.renamed_enum(document, block, change)


def _block(document: Document, change: OfBlock, default_schema: str) -> Block | None:
    """The model (or view, or enum) that the change is about; None where the file has none."""
    if isinstance(change, RenamedEnum):
        return _find(document, change.enum, default_schema, enum=True)
    found = _find(document, change.table, default_schema, enum=False)
    if isinstance(change, RenamedTable):
        taken = _find(document, (change.table[0], change.to), default_schema, enum=False)
        return None if taken is not None else found
    return found


def _find(document: Document, table: Table, default_schema: str, *, enum: bool) -> Block | None:
    among = document.of_kind("enum") if enum else document.of_kind("model", "view")
    return next((block for block in among if table_of(block, default_schema) == table), None)


def _names(document: Document) -> _Known:
    """What every key, index and foreign key is called in the database, going by the file."""
    return {
        (one.model, one.kind, one.fields, one.field): name_of(block, one)
        for block in document.models
        for one in criteria(block)
    }


def _keep_names(document: Document, before: _Known, models: set[str]) -> Document:
    """Say the names that Prisma would derive otherwise now: the database's have not changed."""
    for model in sorted(models):
        block = document.block(model)
        for one in [] if block is None or block.kind == "enum" else criteria(block):
            wanted = before.get((one.model, one.kind, one.fields, one.field))
            present = document.block(model)
            assert present is not None
            # Attributes are told apart by identity, so each is looked up in the block as it is by now.
            now = next(c for c in criteria(present) if (c.kind, c.fields, c.field) == (one.kind, one.fields, one.field))
            if wanted is not None and name_of(present, now) != wanted:
                document = table_changes.said_name(document, present, now, wanted)
    return document
