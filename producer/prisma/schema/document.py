"""A schema file as values: blocks, their members, and the lines each of them was read from.

A member with `lines` is written back as it stands there. One without was made or changed, and is written anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from producer.prisma.schema.tokens import quoted, split_at_commas, unquoted

BlockKind = Literal["model", "view", "enum", "type", "datasource", "generator"]


@dataclass(frozen=True, kw_only=True)
class Argument:
    """`name: value`, or a value alone: then `name` is empty."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}: {self.value}" if self.name else self.value


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """`@id`, `@db.Uuid`, `@@index([a, b])`: the name without its signs, and what stands in its brackets.

    `arguments` is None where there are no brackets.
    """

    name: str
    arguments: tuple[Argument, ...] | None = None

    def argument(self, name: str, *, unnamed: bool = False) -> str | None:
        """An argument's value as written; with `unnamed` also the first one without a name."""
        given = self.arguments or ()
        found = next((a.value for a in given if a.name == name), None)
        if found is None and unnamed:
            return next((a.value for a in given if not a.name), None)
        return found

    def text_of(self, name: str, *, unnamed: bool = False) -> str | None:
        """An argument that is a string: its value."""
        found = self.argument(name, unnamed=unnamed)
        return None if found is None else unquoted(found)

    def fields_of(self, name: str = "fields", *, unnamed: bool = True) -> tuple[str, ...]:
        """The field names of a list such as `[a, b(sort: Desc)]`; composite types' paths stay as they are."""
        found = self.argument(name, unnamed=unnamed) or ""
        if not found.startswith("["):
            return ()
        return tuple(part.split("(")[0].strip() for part in split_at_commas(found[1:-1]))

    def with_argument(self, name: str, value: str) -> Attribute:
        """The same with this argument in its place, or at the end."""
        given = self.arguments or ()
        if any(a.name == name for a in given):
            return replace(self, arguments=tuple(replace(a, value=value) if a.name == name else a for a in given))
        return replace(self, arguments=(*given, Argument(name=name, value=value)))

    def __str__(self) -> str:
        if self.arguments is None:
            return self.name
        return f"{self.name}({', '.join(str(argument) for argument in self.arguments)})"


def attribute(name: str, *values: str, **named: str) -> Attribute:
    """`attribute("index", "[a]", map='"x"')`"""
    given = [Argument(name="", value=value) for value in values]
    given += [Argument(name=key, value=value) for key, value in named.items()]
    return Attribute(name=name, arguments=tuple(given) if given else None)


@dataclass(frozen=True, kw_only=True)
class Member:
    """A line, or several, of a block. `comment` is what stands behind it, with its signs."""

    lines: tuple[str, ...] = ()
    comment: str = ""


@dataclass(frozen=True, kw_only=True)
class Other(Member):
    """A comment or an empty line, or anything that is not understood: it is never changed."""

    @property
    def blank(self) -> bool:
        return not "".join(self.lines).strip()


@dataclass(frozen=True, kw_only=True)
class Field(Member):
    """`name Type? @attributes`; `arity` is "", "?" or "[]". A value of an enum has no type."""

    name: str
    type: str
    arity: str = ""
    attributes: tuple[Attribute, ...] = ()

    def attribute(self, name: str) -> Attribute | None:
        return next((a for a in self.attributes if a.name == name), None)

    @property
    def native_type(self) -> Attribute | None:
        """`@db.Uuid`, under whatever name the file gives the datasource; None if there is none."""
        return next((a for a in self.attributes if "." in a.name), None)

    def changed(self, **what: object) -> Field:
        """The same with other values: it will be written anew."""
        return replace(self, lines=(), **what)  # type: ignore[arg-type]

    def with_attribute(self, given: Attribute) -> Field:
        """The same with this attribute instead of the one of its name, or at the end."""
        there = self.attribute(given.name)
        if there == given:
            return self
        if there is None:
            return self.changed(attributes=(*self.attributes, given))
        return self.changed(attributes=tuple(given if a is there else a for a in self.attributes))

    def without_attribute(self, name: str) -> Field:
        if self.attribute(name) is None:
            return self
        return self.changed(attributes=tuple(a for a in self.attributes if a.name != name))


@dataclass(frozen=True, kw_only=True)
class BlockAttribute(Member):
    """`@@index([a, b])`"""

    attribute: Attribute


@dataclass(frozen=True, kw_only=True)
class Block:
    """`model User { … }`. `head` is its first line; `tail` closes it."""

    kind: BlockKind
    name: str
    head: str
    members: tuple[Member, ...]
    tail: str

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(member for member in self.members if isinstance(member, Field))

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        return tuple(member.attribute for member in self.members if isinstance(member, BlockAttribute))

    def field(self, name: str) -> Field | None:
        return next((one for one in self.fields if one.name == name), None)

    def attribute(self, name: str) -> Attribute | None:
        return next((one for one in self.attributes if one.name == name), None)

    def with_field(self, changed: Field) -> Block:
        """The same with this field in the place of the one of its name."""
        return replace(
            self,
            members=tuple(
                changed if isinstance(member, Field) and member.name == changed.name else member
                for member in self.members
            ),
        )

    def with_members(self, keep: Callable[[Member], Member | None]) -> Block:
        """The same with every member as `keep` gives it, without those it gives nothing for."""
        kept = (keep(member) for member in self.members)
        return replace(self, members=tuple(member for member in kept if member is not None))


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole file: blocks, and the lines between them. `newline` is what its lines end with."""

    parts: tuple[Block | str, ...]
    newline: str = "\n"

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(part for part in self.parts if isinstance(part, Block))

    def of_kind(self, *kinds: BlockKind) -> Iterator[Block]:
        return (block for block in self.blocks if block.kind in kinds)

    @property
    def models(self) -> tuple[Block, ...]:
        return tuple(self.of_kind("model"))

    def block(self, name: str) -> Block | None:
        return next((block for block in self.blocks if block.name == name), None)

    def with_block(self, changed: Block) -> Document:
        """The same with this block in the place of the one of its kind and name."""
        return replace(
            self,
            parts=tuple(
                changed if isinstance(part, Block) and (part.kind, part.name) == (changed.kind, changed.name) else part
                for part in self.parts
            ),
        )


def listed(names: tuple[str, ...]) -> str:
    """`[a, b]`"""
    return f"[{', '.join(names)}]"


def mapped(name: str) -> Attribute:
    """`map("name")`, for `@map` and `@@map`."""
    return attribute("map", quoted(name))
