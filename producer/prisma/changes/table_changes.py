"""Changes of whole models: keys, indexes, relations, names."""

from __future__ import annotations

from dataclasses import replace

from producer.history.changes.changes import AddedIndex, KeyChanged, LostForeignKey, RenamedEnum, RenamedTable
from producer.prisma.changes.field_changes import renamed_value
from producer.prisma.schema.document import (
    Attribute,
    Block,
    BlockAttribute,
    Document,
    Field,
    Member,
    attribute,
    listed,
    mapped,
)
from producer.prisma.schema.schema_names import (
    Criterion,
    column_of,
    columns,
    criteria,
    derived,
    derived_name,
    name_of,
    relation_name,
    table_of,
)
from producer.prisma.schema.tokens import quoted
from producer.prisma.schema.writer import with_block_attribute, without_empty_end

_METHODS = {"hash": "Hash", "gist": "Gist", "gin": "Gin", "spgist": "SpGist", "brin": "Brin"}
"""PostgreSQL's index methods as Prisma calls them; btree is not said."""


def key_changed(document: Document, block: Block, change: KeyChanged) -> Document:
    """The key or index of that name as it is now. A one-to-one relation over it has many at its other end then."""
    there = next((one for one in criteria(block) if name_of(block, one) == change.name), None)
    over = _field_names(document, block, change.columns)
    if there is None or over is None or (there.kind == change.kind and there.fields == over):
        return document
    made = _block_attribute(block, change.kind, over, change.columns, change.name)
    made = _keeping_arguments(there, made) if change.kind == there.kind else made
    changed = with_block_attribute(_without(block, there), made)
    document = document.with_block(changed)
    if there.kind in ("id", "unique"):
        document = _many_at_other_end(document, changed, there.fields)
    return document


def _keeping_arguments(there: Criterion, made: BlockAttribute) -> BlockAttribute:
    """`name:` and the like stay as they were."""
    kept = [a for a in there.attribute.arguments or () if a.name not in ("", "fields", "map", "sort", "length")]
    given = made.attribute
    for argument in kept:
        given = given.with_argument(argument.name, argument.value)
    return replace(made, attribute=given)


def _field_names(document: Document, block: Block, over: tuple[str, ...]) -> tuple[str, ...] | None:
    """The fields that are these columns; None where one has none."""
    named = {column_of(field): field.name for field in columns(document, block)}
    if not all(column in named for column in over):
        return None
    return tuple(named[column] for column in over)


def _block_attribute(
    block: Block, kind: str, over: tuple[str, ...], over_columns: tuple[str, ...], name: str
) -> BlockAttribute:
    given = attribute(kind, listed(over))
    if derived(table_of(block)[1], kind, over_columns) != name:  # type: ignore[arg-type]
        given = given.with_argument("map", quoted(name))
    return BlockAttribute(attribute=given)


def _without(block: Block, criterion: Criterion) -> Block:
    """The block without this key or index."""
    if criterion.field:
        field = block.field(criterion.field)
        return block if field is None else block.with_field(field.without_attribute(criterion.attribute.name))

    def keep(member: Member) -> Member | None:
        gone = isinstance(member, BlockAttribute) and member.attribute is criterion.attribute
        return None if gone else member

    return block.with_members(keep)


def _many_at_other_end(document: Document, block: Block, over: tuple[str, ...]) -> Document:
    for field in block.fields:
        relation = field.attribute("relation")
        if relation is None or relation.fields_of("fields", unnamed=False) != over:
            continue
        found = _other_end(document, block, field)
        if found is not None and found[1].arity == "?":
            other, back = found
            document = document.with_block(other.with_field(back.changed(arity="[]")))
    return document


def _other_end(document: Document, block: Block, field: Field) -> tuple[Block, Field] | None:
    """The model and the field at the other end of a relation."""
    other = document.block(field.type)
    for back in () if other is None else other.fields:
        itself = other is block and back.name == field.name
        if back.type == block.name and relation_name(back) == relation_name(field) and not itself:
            assert other is not None
            return other, back
    return None


def added_index(document: Document, block: Block, change: AddedIndex) -> Document:
    """`@@index([…], map: "…")`, or `@unique`; nothing where the file has it by its name or by its fields."""
    every = (*change.columns, *change.include)
    over = _field_names(document, block, every)
    kind = "unique" if change.unique else "index"
    known = criteria(block)
    same = any(name_of(block, one) == change.name or (one.kind == kind and one.fields == over) for one in known)
    if over is None or same:
        return document
    made = _block_attribute(block, kind, over, every, change.name)
    if change.method in _METHODS:
        made = replace(made, attribute=_with_type(made.attribute, _METHODS[change.method]))
    field = block.field(over[0])
    if change.unique and len(over) == 1 and field is not None:
        left = tuple(one for one in made.attribute.arguments or () if one.name)
        single = Attribute(name="unique", arguments=left or None)
        return document.with_block(block.with_field(field.with_attribute(single)))
    return document.with_block(with_block_attribute(block, made))


def _with_type(given: Attribute, method: str) -> Attribute:
    first, *rest = given.with_argument("type", method).arguments or ()
    ordered = sorted(rest, key=lambda one: one.name != "type")
    return replace(given, arguments=(first, *ordered))


def lost_foreign_key(document: Document, block: Block, change: LostForeignKey) -> Document:
    """Both ends of the relation go; the columns stay."""
    over = _field_names(document, block, change.columns)
    for field in block.fields:
        relation = field.attribute("relation")
        if relation is None or over is None or relation.fields_of("fields", unnamed=False) != over:
            continue
        back = _other_end(document, block, field)
        document = document.with_block(_without_field(block, field.name))
        if back is not None:
            there = document.block(back[0].name)
            assert there is not None
            document = document.with_block(_without_field(there, back[1].name))
        return document
    return document


def _without_field(block: Block, name: str) -> Block:
    """The block without a field; its neighbours are aligned anew."""
    members = list(block.members)
    at = next(n for n, member in enumerate(members) if isinstance(member, Field) and member.name == name)
    del members[at]
    for near in (at - 1, at):
        if 0 <= near < len(members):
            member = members[near]
            if isinstance(member, Field):
                members[near] = member.changed()
    return without_empty_end(replace(block, members=tuple(members)))


def renamed_table(document: Document, block: Block, change: RenamedTable) -> Document:
    """The model keeps its name and says its table."""
    return document.with_block(_renamed(block, change.to))


def renamed_enum(document: Document, block: Block, change: RenamedEnum) -> Document:
    """Values and the enum keep their names and say their labels and type."""
    labels = dict(change.labels)
    for field in block.fields:
        to = labels.get(column_of(field))
        if to is not None:
            block = block.with_field(renamed_value(field, to))
    return document.with_block(_renamed(block, change.to) if change.to else block)


def _renamed(block: Block, to: str) -> Block:
    def keep(member: Member) -> Member | None:
        is_map = isinstance(member, BlockAttribute) and member.attribute.name == "map"
        return None if is_map else member

    bare = without_empty_end(block.with_members(keep))
    return bare if to == block.name else with_block_attribute(bare, BlockAttribute(attribute=mapped(to)))


def said_name(document: Document, block: Block, criterion: Criterion, name: str) -> Document:
    """The file with `map:` at this key, index or relation, if Prisma would call it otherwise by itself."""
    if derived_name(block, criterion) == name and criterion.given_name is None:
        return document
    given = criterion.attribute.with_argument("map", quoted(name))
    if criterion.field:
        field = block.field(criterion.field)
        assert field is not None
        return document.with_block(block.with_field(field.with_attribute(given)))

    def keep(member: Member) -> Member:
        if isinstance(member, BlockAttribute) and member.attribute is criterion.attribute:
            return replace(member, attribute=given, lines=())
        return member

    return document.with_block(block.with_members(keep))
