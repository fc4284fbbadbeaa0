"""Conditions over texts that become an enum: CHECKs that list texts are written again, all others need the operator.

`status = ANY (ARRAY['open'::text, …])` means the same of values as `status = ANY (ARRAY['open'::booking_status, …])`.
Only what the server writes of such a list is understood, as a whole; nothing else is ever edited. Predicates of
indexes are the same: no cast between an enum and a text is immutable, so none can serve both types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from replank.errors import NeedsOperator
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.session.connection import Connection, rows
from sql.session.named_queries import query

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
    becomes: Composable | None


def enum_checks(connection: Connection, oid: int, columns: Iterable[ColumnSpec]) -> list[EnumCheck]:
    """The CHECKs of a relation over columns that become enums, in name order."""
    enums = {column.name: column for column in columns if column.enum}
    if not enums:
        return []
    found = rows(connection, query("next_table.checks_over"), {"oid": oid, "columns": list(enums)})
    return [_check(check, enums) for check in found]


def _check(check: Mapping[str, Any], enums: Mapping[str, ColumnSpec]) -> EnumCheck:
    becomes: Composable | None = None
    if len(check["columns"]) == 1:
        becomes = condition_on_enum(check["definition"], enums[check["columns"][0]])
    return EnumCheck(
        name=check["name"],
        definition=check["definition"],
        columns=tuple(check["columns"]),
        valid=check["valid"],
        comment=check["comment"],
        becomes=becomes,
    )


def next_check(spec: TableSpec, check: EnumCheck) -> Composable | None:
    """How it stands on the next table; None where the plan gives it up. Raises NeedsOperator where it does not."""
    if check.becomes is not None:
        return check.becomes
    if all(column.drops_checks for column in spec.columns if column.name in check.columns):
        return None
    raise NeedsOperator(
        f"{spec.full_name}: {check.name} {check.definition} has a condition on texts of {', '.join(check.columns)} "
        'that is not a list of values. Drop it, or set consent = ["enum_checks"] at the column: then the swap drops it.'
    )


def condition_on_enum(definition: str, column: ColumnSpec) -> Composable | None:
    """A CHECK of texts as one of values; None where the definition is anything else, or no text is a value."""
    understood = re.fullmatch(r"CHECK \(\((.*)\)\)((?: NO INHERIT)?(?: NOT VALID)?)", definition)
    condition = None if understood is None else _condition(understood.group(1), column)
    if understood is None or condition is None:
        return None
    return SQL("CHECK ({}){}").format(condition, SQL(understood.group(2)))


def index_of_values(definition: str, columns: Iterable[ColumnSpec]) -> str:
    """An index's definition with the same list of values in its predicate; as it is where that is anything else."""
    for column in (column for column in columns if column.enum):
        for found in re.finditer(" WHERE ", definition):
            condition = _condition(definition[found.end() :], column)
            if condition is not None:
                return definition[: found.end()] + condition.as_string(None)
    return definition


def _condition(condition: str, column: ColumnSpec) -> Composable | None:
    """What the server writes of `IN`, `NOT IN`, `=`, `<>` and `IS NOT NULL`, with parentheses or without."""
    name = Identifier(column.name)
    plain = re.escape(name.as_string(None))
    if re.fullmatch(r"[a-z_][a-z0-9_]*", column.name):
        plain = f"(?:{plain}|{column.name})"
    if re.fullmatch(rf"{plain} IS NOT NULL", condition):
        return SQL("{} IS NOT NULL").format(name)
    one = rf"(=|<>) \(?({_LITERAL})\)?(?:::text)?"
    several = rf"(= ANY|<> ALL) \(\(?ARRAY\[({_LITERAL}(?:, {_LITERAL})*)\]\)?(?:::text\[\])?\)"
    understood = re.fullmatch(rf"(?:{plain}|{plain}::text|\({plain}\)::text) (?:{one}|{several})", condition)
    if understood is None:
        return None
    operator, texts = (group for group in understood.groups() if group is not None)
    values = [SQL("{}::{}").format(value, SQL(column.next_type)) for value in _values(texts, column)]
    if not values:
        return None
    if len(values) == 1:
        return SQL("{} {} {}").format(name, SQL(operator.split()[0]), values[0])
    return SQL("{} {} (ARRAY[{}])").format(name, SQL(operator), SQL(", ").join(values))


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
