"""Reading schema.prisma without losing a line. Prisma's own engine says whether a file is valid; this does not."""

from __future__ import annotations

import re
from typing import get_args

from producer.prisma.schema.document import (
    Argument,
    Attribute,
    Block,
    BlockAttribute,
    BlockKind,
    Document,
    Field,
    Member,
    Other,
)
from producer.prisma.schema.tokens import comment_start, end_of_brackets, end_of_string, is_open, split_at_commas
from replank.errors import WrongUse

_HEAD = re.compile(r"^\s*(" + "|".join(get_args(BlockKind)) + r")\s+(\w+)\s*\{\s*(//.*)?$")
_NAME = re.compile(r"\w+")
_ATTRIBUTE = re.compile(r"@{1,2}([\w.]+)\s*")
_ARGUMENT = re.compile(r"^(\w+)\s*:\s*(.*)$", re.DOTALL)
_ARITY = re.compile(r"\s*(\[\]|\?)")


def read_schema(text: str) -> Document:
    """The file's blocks with their lines. Raises WrongUse with the line where a block does not end."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.split(newline)
    parts: list[Block | str] = []
    at = 0
    while at < len(lines):
        head = _HEAD.match(lines[at])
        if head is None:
            end = _behind_comment(lines, at)
            parts += lines[at:end]
            at = end
            continue
        members, end = _members(lines, at + 1, of_enum=head.group(1) == "enum")
        if end >= len(lines):
            raise WrongUse(f"line {at + 1}: {head.group(1)} {head.group(2)} has no closing brace")
        kind: BlockKind = head.group(1)  # type: ignore[assignment]
        parts.append(Block(kind=kind, name=head.group(2), head=lines[at], members=tuple(members), tail=lines[end]))
        at = end + 1
    return Document(parts=tuple(parts), newline=newline)


def _behind_comment(lines: list[str], at: int) -> int:
    """The index behind the line, or behind the comment of several lines that begins in it."""
    line = lines[at]
    begin = comment_start(line)
    if not line.startswith("/*", begin) or "*/" in line[begin + 2 :]:
        return at + 1
    end = at + 1
    while end < len(lines) and "*/" not in lines[end]:
        end += 1
    return min(end + 1, len(lines))


def _members(lines: list[str], start: int, *, of_enum: bool) -> tuple[list[Member], int]:
    """A block's members, and the index of the line that closes it."""
    members: list[Member] = []
    at = start
    while at < len(lines) and not lines[at].strip().startswith("}"):
        end = _behind_comment(lines, at)
        if end == at + 1:
            while is_open("\n".join(lines[at:end])) and end < len(lines):
                end += 1
        members.append(_member(tuple(lines[at:end]), of_enum=of_enum))
        at = end
    return members, at


def _member(lines: tuple[str, ...], *, of_enum: bool) -> Member:
    text = "\n".join(lines).lstrip()
    if not text or text.startswith("/"):
        return Other(lines=lines)
    if text.startswith("@@"):
        attributes, comment = _attributes(text, 0)
        return (
            BlockAttribute(lines=lines, attribute=attributes[0], comment=comment) if attributes else Other(lines=lines)
        )
    name = _NAME.match(text)
    if name is None:
        return Other(lines=lines)
    if of_enum:
        attributes, comment = _attributes(text, name.end())
        return Field(lines=lines, name=name.group(), type="", attributes=attributes, comment=comment)
    return _field(lines, text, name)


def _field(lines: tuple[str, ...], text: str, name: re.Match[str]) -> Member:
    at = name.end() + len(text[name.end() :]) - len(text[name.end() :].lstrip())
    of_type = _NAME.match(text, at)
    if of_type is None or text[name.end() : at].strip():
        # `provider = "postgresql"` in a datasource, and whatever is not known here.
        return Other(lines=lines)
    at = of_type.end()
    if text.startswith("(", at):
        end = end_of_brackets(text, at)
        at = end if end > 0 else len(text)
    kind = text[of_type.start() : at]
    arity = _ARITY.match(text, at)
    attributes, comment = _attributes(text, arity.end() if arity else at)
    return Field(
        lines=lines,
        name=name.group(),
        type=kind,
        arity=arity.group(1) if arity else "",
        attributes=attributes,
        comment=comment,
    )


def _attributes(text: str, at: int) -> tuple[tuple[Attribute, ...], str]:
    """All attributes from `at` on, and the comment behind them."""
    found: list[Attribute] = []
    while at < len(text):
        if text.startswith(("//", "/*"), at):
            return tuple(found), text[at:]
        match = _ATTRIBUTE.match(text, at)
        if match is None:
            at = end_of_string(text, at) if text[at] == '"' else at + 1
            continue
        at = match.end()
        arguments: tuple[Argument, ...] | None = None
        if text.startswith("(", at):
            end = end_of_brackets(text, at)
            # A bracket that never closes leaves nothing behind it.
            arguments = _arguments(text[at + 1 : end - 1] if end > 0 else text[at + 1 :])
            at = end if end > 0 else len(text)
        found.append(Attribute(name=match.group(1), arguments=arguments))
    return tuple(found), ""


def _arguments(text: str) -> tuple[Argument, ...]:
    made = []
    for part in split_at_commas(text):
        named = _ARGUMENT.match(part)
        value = (named.group(2) if named else part).strip()
        made.append(Argument(name=named.group(1) if named else "", value=_spaced(value)))
    return tuple(made)


def _spaced(value: str) -> str:
    """A list as the formatter writes it: a space behind each comma."""
    if not (value.startswith("[") and value.endswith("]")):
        return value
    return "[" + ", ".join(split_at_commas(value[1:-1])) + "]"
