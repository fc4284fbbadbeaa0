"""CHECKs over texts that become an enum: those that list texts are said anew, of all others a person decides.

`status = ANY (ARRAY['open'::text, …])` means the same of values as `status = ANY (ARRAY['open'::booking_status, …])`.
Only what the server writes of such a list is understood, as a whole; nothing else is ever edited.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from replank.errors import NeedsPerson
from replank.table_spec import ColumnSpec, TableSpec
from sql.connection import Connection, rows
from sql.named import query

_LITERAL = r"'(?:[^'\\]|'')*'::(?:text|character varying|character|bpchar)(?:\(\d+\))?"
_ONE = re.compile(r"'((?:[^'\\]|'')*)'::([a-z ]+)")


@dataclass(frozen=True, kw_only=True)
class EnumCheck:
    """A CHECK of a live relation over columns that become enums. `becomes` is None where it cannot be said of them."""

    name: str
    definition: str
    columns: tuple[str, ...]
    valid: bool
    comment: str | None
    becomes: sql.Composable | None


def enum_checks(connection: Connection, oid: int, columns: Iterable[ColumnSpec]) -> list[EnumCheck]:
    """The CHECKs of a relation over columns that become enums, in name order."""
    enums = {column.name: column for column in columns if column.enum}
    if not enums:
        return []
    found = rows(connection, query("next_table.checks_over"), {"oid": oid, "columns": list(enums)})
    return [_check(check, enums) for check in found]


def _check(check: Mapping[str, Any], enums: Mapping[str, ColumnSpec]) -> EnumCheck:
    becomes: sql.Composable | None = None
    if len(check["columns"]) == 1:
        becomes = said_of_values(check["definition"], enums[check["columns"][0]])
    return EnumCheck(
        name=check["name"],
        definition=check["definition"],
        columns=tuple(check["columns"]),
        valid=check["valid"],
        comment=check["comment"],
        becomes=becomes,
    )


def next_check(spec: TableSpec, check: EnumCheck) -> sql.Composable | None:
    """How it stands on the next table; None where the plan gives it up. Raises NeedsPerson where it does not."""
    if check.becomes is not None:
        return check.becomes
    if all(column.drops_checks for column in spec.columns if column.name in check.columns):
        return None
    raise NeedsPerson(
        f"{spec.full_name}: {check.name} {check.definition} is about texts of {', '.join(check.columns)}, and no list "
        'of them. Drop it, or say consent = ["enum_checks"] at the column: then it goes with the swap.'
    )


def said_of_values(definition: str, column: ColumnSpec) -> sql.Composable | None:
    """A list of texts as the same list of values; None where the definition is anything else, or no text is a value."""
    name = sql.Identifier(column.name).as_string(None)
    plain = re.escape(name) + "|" + re.escape(column.name) if re.fullmatch(r"[a-z_][a-z0-9_]*", column.name) else name
    reference = rf"(?:{plain}|\((?:{plain})\)::text)"
    listed = rf"ARRAY\[({_LITERAL}(?:, {_LITERAL})*)\]"
    pattern = (
        rf"CHECK \(\({reference} = (?:(?:\()?({_LITERAL})(?:\)::text)?|ANY \((?:{listed}|\({listed}\)::text\[\])\))\)\)"
        r"( NO INHERIT)?( NOT VALID)?"
    )
    not_null = re.fullmatch(rf"CHECK \(\((?:{plain}) IS NOT NULL\)\)( NO INHERIT)?( NOT VALID)?", definition)
    if not_null:
        return sql.SQL(definition)
    understood = re.fullmatch(pattern, definition)
    if understood is None:
        return None
    texts = next(group for group in understood.groups()[:3] if group is not None)
    values = _values(texts, column)
    if not values:
        return None
    tail = "".join(group for group in understood.groups()[3:] if group is not None)
    listed_values = sql.SQL(", ").join(sql.SQL("{}::{}").format(v, sql.SQL(column.next_type)) for v in values)
    return sql.SQL("CHECK ({} = ANY (ARRAY[{}])){}").format(sql.Identifier(column.name), listed_values, sql.SQL(tail))


def _values(texts: str, column: ColumnSpec) -> Sequence[str]:
    """The values of these texts, each once. A text that no value has is in no row of the next table."""
    words = dict(column.words)
    known: dict[str, None] = {}
    for found in _ONE.finditer(texts):
        text = found.group(1).replace("''", "'")
        if found.group(2).strip() in ("bpchar", "character"):
            text = text.rstrip(" ")
        label = words.get(text, text)
        if label in column.labels:
            known[label] = None
    return list(known)
