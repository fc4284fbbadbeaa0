"""Which table a model is, which column a field, and what Prisma calls their constraints where nobody names them.

The derived names are those of Prisma's engine (`psl`, ConstraintNames): built from names in the database, cut so
that the ending fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from producer.history.changes.changes import Table as Table
from producer.prisma.schema.document import Attribute, Block, Document, Field
from replank.names import LONGEST_NAME_BYTES, cut

SCALARS = frozenset({"String", "Boolean", "Int", "BigInt", "Float", "Decimal", "DateTime", "Json", "Bytes"})

Kind = Literal["id", "unique", "index", "relation"]

_ENDINGS: dict[Kind, str] = {"id": "_pkey", "unique": "_key", "index": "_idx", "relation": "_fkey"}


def table_of(block: Block, default_schema: str = "public") -> Table:
    """The table of a model (or the type of an enum)."""
    named = block.attribute("map")
    placed = block.attribute("schema")
    schema = placed.text_of("name", unnamed=True) if placed else None
    name = named.text_of("name", unnamed=True) if named else None
    return schema or default_schema, name or block.name


def column_of(field: Field) -> str:
    """The column of a field (or the label of an enum's value)."""
    named = field.attribute("map")
    return (named.text_of("name", unnamed=True) if named else None) or field.name


def is_column(document: Document, field: Field) -> bool:
    """Whether a model's field is a column; otherwise it is one end of a relation."""
    if field.type in SCALARS or field.type.startswith("Unsupported"):
        return True
    there = document.block(field.type)
    return there is not None and there.kind in ("enum", "type")


def columns(document: Document, block: Block) -> Iterator[Field]:
    return (field for field in block.fields if is_column(document, field))


def field_of(document: Document, block: Block, column: str) -> Field | None:
    """The field that is this column."""
    return next((field for field in columns(document, block) if column_of(field) == column), None)


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """Something of a model that has a name in the database: key, unique, index, foreign key.

    `fields` are field names in order; `field` is the field the attribute stands on, empty for `@@`.
    """

    model: str
    kind: Kind
    fields: tuple[str, ...]
    field: str
    attribute: Attribute

    @property
    def given_name(self) -> str | None:
        return self.attribute.text_of("map")


def criteria(block: Block) -> list[Criterion]:
    """Everything of a model that has a name in the database."""
    found: list[Criterion] = []
    kinds: tuple[Kind, ...] = ("id", "unique", "index")
    for field in block.fields:
        for kind in kinds[:2]:
            given = field.attribute(kind)
            if given is not None:
                made = Criterion(model=block.name, kind=kind, fields=(field.name,), field=field.name, attribute=given)
                found.append(made)
        relation = field.attribute("relation")
        if relation is not None and relation.argument("fields") is not None:
            over = relation.fields_of("fields", unnamed=False)
            found.append(
                Criterion(model=block.name, kind="relation", fields=over, field=field.name, attribute=relation)
            )
    for given in block.attributes:
        if given.name in kinds:
            kind = kinds[kinds.index(given.name)]
            found.append(Criterion(model=block.name, kind=kind, fields=given.fields_of(), field="", attribute=given))
    return found


def name_of(block: Block, criterion: Criterion) -> str:
    """What it is called in the database, going by the file."""
    return criterion.given_name or derived_name(block, criterion)


def derived_name(block: Block, criterion: Criterion) -> str:
    """What Prisma calls it where the file does not say."""
    by_name = {field.name: column_of(field) for field in block.fields}
    over = [by_name.get(name, name) for name in criterion.fields]
    return derived(table_of(block)[1], criterion.kind, over)


def derived(table: str, kind: Kind, over: Sequence[str]) -> str:
    """`orders_customer_id_fkey`"""
    ending = _ENDINGS[kind]
    whole = table if kind == "id" else f"{table}_{'_'.join(over)}"
    # By Prisma's rule, not by ours: these names are compared with what its engine would give.
    return cut(whole, at_most_bytes=LONGEST_NAME_BYTES - len(ending)) + ending


@dataclass(frozen=True, kw_only=True)
class JoinTable:
    """The table of an implicit many-to-many relation: columns A and B, no model."""

    table: Table
    models: tuple[str, str]


def join_tables(document: Document, default_schema: str = "public") -> list[JoinTable]:
    """Every implicit many-to-many relation of the file."""
    found: dict[Table, JoinTable] = {}
    for block in document.models:
        for field in block.fields:
            other = document.block(field.type) if field.arity == "[]" else None
            if other is None or other.kind != "model":
                continue
            name = relation_name(field)
            if not any(_answers(back, block, name, of=field, same=other is block) for back in other.fields):
                continue
            first, second = sorted((block.name, other.name))
            schema = table_of(document.block(first) or block, default_schema)[0]
            table = (schema, f"_{name or f'{first}To{second}'}")
            found[table] = JoinTable(table=table, models=(first, second))
    return list(found.values())


def _answers(back: Field, block: Block, name: str | None, *, of: Field, same: bool) -> bool:
    """Whether `back` is the other end of a list field of `block`: a list too. A model's own has two fields."""
    if back.type != block.name or back.arity != "[]" or relation_name(back) != name:
        return False
    return not same or back.name != of.name


def relation_name(field: Field) -> str | None:
    relation = field.attribute("relation")
    return None if relation is None else relation.text_of("name", unnamed=True)


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """The name, or the name with the lowest number behind it that is not taken."""
    there = set(taken)
    number = 2
    made = wanted
    while made in there:
        made = f"{wanted}{number}"
        number += 1
    return made
