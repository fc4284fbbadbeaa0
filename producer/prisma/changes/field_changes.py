"""Changes of single fields: their types, defaults and columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from producer.history.changes.changes import AddedColumn, RenamedColumn, SettledColumn, ToEnum, ToUuid
from producer.prisma.schema.document import Attribute, Block, BlockAttribute, Document, Field, attribute, mapped
from producer.prisma.schema.schema_names import (
    Table,
    column_of,
    columns,
    derived,
    field_of,
    free_name,
    is_column,
    table_of,
)
from producer.prisma.schema.tokens import quoted, unquoted
from producer.prisma.schema.types import default_of, prisma_type
from producer.prisma.schema.writer import with_block_attribute, with_new_field

OF_OTHER_IDS = ("cuid", "nanoid", "ulid")
"""Functions of the client that make ids which are no uuids."""

_IDENTIFIER = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")


def to_uuid(document: Document, block: Block, change: ToUuid) -> Document:
    """`String @db.Uuid`; a default of the database's own is said, one that the client makes must be a uuid."""
    field = field_of(document, block, change.column)
    if field is None or field.type != "String":
        return document
    made = _with_native_type(field, f"{_datasource(document)}.Uuid")
    if change.default:
        default = default_of(change.default, "String", field.arity)
        made = made.with_attribute(default) if default else made
    else:
        given = field.attribute("default")
        value = given.argument("value", unnamed=True) if given else None
        if value is not None and value.split("(")[0] in OF_OTHER_IDS:
            made = made.with_attribute(attribute("default", "uuid()"))
    return document.with_block(block.with_field(made)) if made is not field else document


def _with_native_type(field: Field, name: str) -> Field:
    """The field with this native type in the place of the one it has, or behind its other attributes."""
    there = field.native_type
    if there is None:
        return field.with_attribute(Attribute(name=name))
    if there == Attribute(name=name):
        return field
    return field.changed(attributes=tuple(Attribute(name=name) if one is there else one for one in field.attributes))


def _datasource(document: Document) -> str:
    """Native types carry the datasource's name: `@db.Uuid` where it is called db."""
    return next((block.name for block in document.of_kind("datasource")), "db")


def added_column(document: Document, block: Block, change: AddedColumn) -> Document:
    """A field behind the last column of its model."""
    if field_of(document, block, change.column) is not None:
        return document
    enum = _enum_of_type(document, change) if change.enum else None
    if enum is not None:
        scalar, arity, native = enum.name, "[]" if change.type.endswith("[]") else "", None
    else:
        scalar, arity, native = prisma_type(change.type)
    default = _default(change, scalar, arity, enum)
    name = field_name(document, block, change.column)
    unique = _unique(block, change)
    given = (
        unique,
        default,
        mapped(change.column) if name != change.column else None,
        None if native is None else replace(native, name=f"{_datasource(document)}.{native.name.partition('.')[2]}"),
    )
    last = list(columns(document, block))[-1:]
    made = Field(
        name=name,
        type=scalar,
        arity=arity or ("" if change.not_null else "?"),
        attributes=tuple(one for one in given if one is not None),
    )
    return document.with_block(with_new_field(block, made, after=last[0] if last else None))


def _default(change: AddedColumn, scalar: str, arity: str, enum: Block | None) -> Attribute | None:
    default = default_of(change.default, scalar, arity, enum=enum is not None)
    return default if default is None or enum is None else _as_value(default, enum)


def _as_value(default: Attribute, enum: Block) -> Attribute:
    """A default that is a label, as the name of its value."""
    label = default.argument("value", unnamed=True) or ""
    value = next((one.name for one in enum.fields if column_of(one) == label), None)
    return default if value is None else attribute("default", value)


def _unique(block: Block, change: AddedColumn) -> Attribute | None:
    if not change.unique:
        return None
    usual = derived(table_of(block)[1], "unique", (change.column,))
    return Attribute(name="unique") if change.unique == usual else attribute("unique", map=quoted(change.unique))


def _enum_of_type(document: Document, change: AddedColumn) -> Block | None:
    bare = change.type.removesuffix("[]").rpartition(".")[2].strip('"')
    return next((block for block in document.of_kind("enum") if table_of(block)[1] == bare), None)


def field_name(document: Document, block: Block, column: str) -> str:
    """The column's name, in camelCase where the file does so: where `createdAt` stands for `created_at`."""
    made = re.sub(r"\W", "_", column)
    if not _IDENTIFIER.match(made):
        made = "f" + made if not made.startswith("_") else "f" + made.lstrip("_")
    if _writes_camel_case(document):
        made = camel_case(made)
    return free_name(made, (field.name for field in block.fields))


def camel_case(name: str) -> str:
    """`created_at` → `createdAt`"""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _writes_camel_case(document: Document) -> bool:
    return any(
        column_of(field) != field.name and camel_case(column_of(field)) == field.name
        for block in document.models
        for field in block.fields
    )


def normalized_column(document: Document, block: Block, change: SettledColumn) -> Document:
    """The `?` goes where the column may not be NULL, and the database's default is said."""
    field = field_of(document, block, change.column)
    if field is None:
        return document
    made = field.changed(arity="") if change.not_null and field.arity == "?" else field
    enum = document.block(field.type)
    given = default_of(change.default, field.type, field.arity, enum=enum is not None)
    if given is not None and enum is not None:
        given = _as_value(given, enum)
    made = made.with_attribute(given) if given is not None else made
    return document.with_block(block.with_field(made)) if made is not field else document


def to_enum(document: Document, block: Block, change: ToEnum, default_schema: str) -> Document:
    """The field gets the enum's type; the enum's block is written where the file has none of it."""
    field = field_of(document, block, change.column)
    if field is None:
        return document
    enum, document = _enum_block(document, block, change, default_schema)
    if field.type == enum.name:
        return document
    made = field.changed(
        type=enum.name, attributes=tuple(one for one in field.attributes if one is not field.native_type)
    )
    own = default_of(change.default, enum.name, field.arity, enum=True)
    given = field.attribute("default")
    value = given.argument("value", unnamed=True) if given else None
    if own is not None:
        made = made.with_attribute(_as_value(own, enum))
    elif value is not None and value.startswith('"'):
        named = {column_of(one): one.name for one in enum.fields}
        made = made.with_attribute(attribute("default", named.get(unquoted(value), unquoted(value))))
    return document.with_block(block.with_field(made))


def _enum_block(document: Document, block: Block, change: ToEnum, default_schema: str) -> tuple[Block, Document]:
    for there in document.of_kind("enum"):
        if table_of(there, default_schema) == change.enum:
            return there, document
    made = new_enum(document, change.enum, change.labels, in_schemas=block.attribute("schema") is not None)
    parts = list(document.parts)
    at = next(n for n, part in enumerate(parts) if isinstance(part, Block) and part.name == block.name) + 1
    return made, replace(document, parts=(*parts[:at], "", made, *parts[at:]))


def new_enum(document: Document, enum: Table, labels: tuple[str, ...], *, in_schemas: bool) -> Block:
    """The block of an enum. Labels that are names stay names: what the client has compared with stays equal."""
    camel = camel_case(re.sub(r"\W", "_", enum[1]))
    name = free_name(camel[:1].upper() + camel[1:], (block.name for block in document.blocks))
    values: list[Field] = []
    for label in labels:
        values.append(enum_value(label, [one.name for one in values]))
    made = Block(kind="enum", name=name, head=f"enum {name} {{", members=tuple(values), tail="}")
    if name != enum[1]:
        made = with_block_attribute(made, BlockAttribute(attribute=mapped(enum[1])))
    if in_schemas:
        made = with_block_attribute(made, BlockAttribute(attribute=attribute("schema", quoted(enum[0]))))
    return made


def enum_value(label: str, taken: Iterable[str]) -> Field:
    """A value of an enum, called as its label is where that is a name."""
    value = label if _IDENTIFIER.match(label) else re.sub(r"\W", "_", label)
    if not _IDENTIFIER.match(value):
        value = "v" + value
    value = free_name(value, taken)
    return Field(name=value, type="", attributes=() if value == label else (mapped(label),))


def renamed_column(document: Document, block: Block, change: RenamedColumn) -> Document:
    """The field keeps its name and says its column."""
    field = field_of(document, block, change.column)
    if field is None or not is_column(document, field) or field_of(document, block, change.to) is not None:
        return document
    made = field.without_attribute("map") if change.to == field.name else _mapped(field, change.to)
    return document.with_block(block.with_field(made))


def _mapped(field: Field, name: str) -> Field:
    """The field with `@map(name)`, before its native type as people write it."""
    if field.attribute("map") is not None:
        return field.with_attribute(mapped(name))
    native = field.native_type
    others = tuple(one for one in field.attributes if one is not native)
    return field.changed(attributes=(*others, mapped(name), *((native,) if native else ())))


def renamed_value(field: Field, label: str) -> Field:
    """An enum's value with another label."""
    return field.without_attribute("map") if label == field.name else field.with_attribute(mapped(label))
