"""One order for the fields of every model, so that people find them: an option, the database does not care.

uuid, id, foreign keys (tenant, account, user, parent, then by alphabet), what the model is about, status and type,
configuration, `is…`, `…By`, `…At` (created first), relations. Comments go with the field below them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from producer.prisma.changes.field_changes import camel_case
from producer.prisma.schema.document import Block, BlockAttribute, Document, Field, Member, Other
from producer.prisma.schema.schema_names import is_column

FIRST_KEYS = ("tenantId", "accountId", "userId", "parentId")

STATUS = ("status", "state", "type", "kind")

CONFIGURATION = ("config", "configuration", "settings", "options", "preferences", "metadata")

_Row = tuple[Member, ...]
"""A field with the comments above it."""


def in_order(document: Document) -> Document:
    """The document with the fields of every model in that order."""
    for block in document.models:
        document = document.with_block(_ordered(document, block))
    return document


def _ordered(document: Document, block: Block) -> Block:
    rows, loose, attributes = _rows(block)
    keys = _foreign_keys(block)
    scalars = [row for row in rows if is_column(document, _field(row))]
    relations = [row for row in rows if not is_column(document, _field(row))]
    wanted = sorted(scalars, key=lambda row: _place(_field(row), keys))
    members = _laid_out(wanted, relations, loose, attributes)
    present = [m for m in block.members if not (isinstance(m, Other) and m.blank)]
    same_order = [m for m in members if not (isinstance(m, Other) and m.blank)] == present
    return block if same_order else replace(block, members=tuple(members))


def _laid_out(
    scalars: Sequence[_Row], relations: Sequence[_Row], loose: Sequence[Member], attributes: Sequence[Member]
) -> list[Member]:
    blank = Other(lines=("",))
    parts = [
        [_anew(member) for row in scalars for member in row],
        [_anew(member) for row in relations for member in row] + list(loose),
        list(attributes),
    ]
    members: list[Member] = []
    for part in parts:
        if part:
            members += [blank, *part] if members else part
    return members


def _anew(member: Member) -> Member:
    """Fields that have other neighbours are aligned anew."""
    return member.changed() if isinstance(member, Field) else member


def _rows(block: Block) -> tuple[list[_Row], list[Member], list[Member]]:
    """The fields with their comments, comments that no field follows, and the block's attributes with theirs."""
    rows: list[_Row] = []
    above: list[Member] = []
    attributes: list[Member] = []
    for member in block.members:
        if isinstance(member, Other):
            if not member.blank:
                above.append(member)
        elif isinstance(member, BlockAttribute):
            attributes += [*above, member]
            above = []
        else:
            rows.append((*above, member))
            above = []
    return rows, above, attributes


def _field(row: _Row) -> Field:
    last = row[-1]
    assert isinstance(last, Field)
    return last


def _foreign_keys(block: Block) -> set[str]:
    found: set[str] = set()
    for field in block.fields:
        relation = field.attribute("relation")
        if relation is not None:
            found |= set(relation.fields_of("fields", unnamed=False))
    return found


def _place(field: Field, keys: set[str]) -> tuple[int, int, str]:
    """Sorts as wanted; equal ones stay in the order they are in."""
    name = camel_case(field.name)
    if name == "uuid":
        return (0, 0, "")
    if name == "id" or field.attribute("id") is not None:
        return (1, 0, "")
    if field.name in keys or name in FIRST_KEYS:
        return (2, FIRST_KEYS.index(name), "") if name in FIRST_KEYS else (2, len(FIRST_KEYS), name)
    lowered = name.lower()
    if lowered.endswith(STATUS):
        return (4, 0, "")
    if lowered.endswith(CONFIGURATION):
        return (5, 0, "")
    if field.type == "Boolean" and name.startswith("is") and name[2:3].isupper():
        return (6, 0, "")
    if name.endswith("By"):
        return (7, 0, "")
    if name.endswith("At"):
        return (8, 0 if lowered == "createdat" else 1, "")
    return (3, 0, "")
