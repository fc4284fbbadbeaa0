"""Changes of enums as such, whichever columns have them."""

from __future__ import annotations

from dataclasses import replace

from producer.history.changes.changes import EnumValues
from producer.prisma.changes.field_changes import enum_value, new_enum
from producer.prisma.schema.document import Block, Document
from producer.prisma.schema.schema_names import column_of, table_of


def enum_values(document: Document, change: EnumValues, default_schema: str) -> Document:
    """The enum's block at the end of the file, or behind the last enum; or the values that the one there lacks."""
    there = next((block for block in document.of_kind("enum") if table_of(block, default_schema) == change.enum), None)
    if there is not None:
        return document.with_block(_with_values(there, change))
    in_schemas = any(block.attribute("schema") is not None for block in document.models)
    made = new_enum(document, change.enum, change.labels, in_schemas=in_schemas)
    parts = list(document.parts)
    enums = [n for n, part in enumerate(parts) if isinstance(part, Block) and part.kind == "enum"]
    blocks = [n for n, part in enumerate(parts) if isinstance(part, Block)]
    at = (enums or blocks or [len(parts) - 1])[-1] + 1
    return replace(document, parts=(*parts[:at], "", made, *parts[at:]))


def _with_values(block: Block, change: EnumValues) -> Block:
    known = {column_of(field) for field in block.fields}
    for before, after in change.renamed:
        if before in known or after in known:
            known |= {before, after}
    members = list(block.members)
    for label in (label for label in change.labels if label not in known):
        fields = [field for field in members if field in block.fields]
        made = enum_value(label, [field.name for field in block.fields])
        at = max((n for n, member in enumerate(members) if member in fields), default=-1) + 1
        members.insert(at, made)
        block = replace(block, members=tuple(members))
    return block
