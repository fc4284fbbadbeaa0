"""Writing a schema file back: unchanged lines as they were, changed ones as Prisma's formatter would.

The formatter aligns names, types and attributes of fields that no empty line separates. So a changed field
takes the others of its group with it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from producer.prisma.schema.document import Block, BlockAttribute, Document, Field, Member, Other

INDENT = "  "

_RANKS = ("id", "unique", "index", "fulltext", "map", "ignore", "schema")
"""The formatter's order of block attributes."""


def write_schema(document: Document) -> str:
    lines: list[str] = []
    for part in document.parts:
        if isinstance(part, str):
            lines.append(part)
        else:
            lines += [part.head, *_block_lines(part), part.tail]
    return document.newline.join(lines)


def _block_lines(block: Block) -> list[str]:
    lines: list[str] = []
    for fields, group in groupby(block.members, key=_belongs_to_fields):
        members = list(group)
        if fields and any(isinstance(member, Field) and not member.lines for member in members):
            lines += _aligned(members)
        else:
            for member in members:
                lines += member.lines or (_alone(member),)
    return lines


def _belongs_to_fields(member: Member) -> bool:
    """Fields and the comments among them are one group; empty lines and block attributes end it."""
    return not isinstance(member, BlockAttribute) and not (isinstance(member, Other) and member.blank)


def _alone(member: Member) -> str:
    assert isinstance(member, BlockAttribute)
    return _with_comment(f"{INDENT}@@{member.attribute}", member)


def _aligned(members: Sequence[Member]) -> list[str]:
    fields = [member for member in members if isinstance(member, Field)]
    names = max(len(one.name) for one in fields)
    types = max(len(one.type + one.arity) for one in fields)
    lines: list[str] = []
    for member in members:
        if not isinstance(member, Field):
            lines += [INDENT + line.strip() for line in member.lines]
            continue
        cells = [member.name.ljust(names)]
        if types:
            cells.append((member.type + member.arity).ljust(types))
        cells += [f"@{one}" for one in member.attributes]
        lines.append(_with_comment(INDENT + " ".join(cells).rstrip(), member))
    return lines


def _with_comment(line: str, member: Member) -> str:
    return f"{line} {member.comment}" if member.comment else line


def with_block_attribute(block: Block, given: BlockAttribute) -> Block:
    """The block with one attribute more, where the formatter would put it."""
    members = list(block.members)
    rank = _rank(given)
    there = [n for n, member in enumerate(members) if isinstance(member, BlockAttribute)]
    before = [n for n in there if _rank(members[n]) <= rank]
    if before:
        at = before[-1] + 1
    elif there:
        at = there[0]
    else:
        while members and isinstance(members[-1], Other) and members[-1].blank:
            members.pop()
        members.append(Other(lines=("",)))
        at = len(members)
    members.insert(at, given)
    return replace(block, members=tuple(members))


def without_empty_end(block: Block) -> Block:
    """The block without empty lines at its end and without two in a row, which taking members out may leave."""
    members: list[Member] = []
    for member in block.members:
        empty = isinstance(member, Other) and member.blank
        if empty and (not members or (isinstance(members[-1], Other) and members[-1].blank)):
            continue
        members.append(member)
    while members and isinstance(members[-1], Other) and members[-1].blank:
        members.pop()
    return replace(block, members=tuple(members))


def _rank(member: Member) -> int:
    name = member.attribute.name if isinstance(member, BlockAttribute) else ""
    return _RANKS.index(name) if name in _RANKS else len(_RANKS)


def with_new_field(block: Block, given: Field, *, after: Field | None) -> Block:
    """The block with one field more, behind `after`, or behind the last field there is."""
    members = list(block.members)
    fields = [n for n, member in enumerate(members) if isinstance(member, Field)]
    behind = next((n for n in fields if members[n] is after), fields[-1] if fields else -1)
    members.insert(behind + 1, given)
    return replace(block, members=tuple(members))
