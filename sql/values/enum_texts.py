"""Texts that become values of an enum, and values that become texts again.

A text is its value's name, or the plan maps it to one (`ColumnSpec.words`). A value's text is the first that the plan
maps to it, else its name. Texts are compared byte for byte, whatever collation the column has.
"""

from __future__ import annotations

import re

from psycopg.sql import SQL, Composable, Literal

from replank.values.table_spec import ColumnSpec


def as_enum(column: ColumnSpec, reference: Composable) -> Composable:
    """A live text as the value; the server refuses one that is none, and says it."""
    return SQL("{}::{}").format(label(column, reference), SQL(column.next_type))


def label(column: ColumnSpec, reference: Composable) -> Composable:
    """The name of the value that a live text, which is one of the enum's, becomes, as a text."""
    return _mapped(reference, column.words)


def is_enum_text(column: ColumnSpec, reference: Composable) -> Composable:
    """Whether a live text is one of the enum's; NULL for NULL."""
    known = [*column.labels, *(text for text, _ in column.words)]
    return SQL('({}::pg_catalog.text COLLATE "C" = ANY ({}::pg_catalog.text[]))').format(reference, Literal(known))


def enum_text(column: ColumnSpec, reference: Composable) -> Composable:
    """A value as its text."""
    return _mapped(reference, list(spellings(column).items()))


def spellings(column: ColumnSpec) -> dict[str, str]:
    """Value → the first text that the plan maps to it."""
    found: dict[str, str] = {}
    for text, label in column.words:
        found.setdefault(label, text)
    return found


def not_spelled_so(column: ColumnSpec, reference: Composable) -> Composable:
    """Whether a live text, which is one of the enum's, is not its value's text. Needs no such type."""
    back = _mapped(label(column, reference), list(spellings(column).items()))
    return SQL('{}::pg_catalog.text COLLATE "C" <> {}').format(reference, back)


def texts_of(column: ColumnSpec, reference: Composable) -> Composable:
    """A query with one column `t` of the live type: every text that becomes this value."""
    pairs = [(label, label) for label in column.labels] + list(column.words)
    rows = SQL(", ").join(SQL("({}::text, {}::text)").format(text, label) for text, label in pairs)
    return SQL(
        "SELECT known.text::{} AS t FROM (VALUES {}) AS known (text, label)"
        ' WHERE known.label COLLATE "C" = {}::pg_catalog.text'
    ).format(SQL(column.live_type), rows, reference)


_LITERAL = re.compile(r"^'((?:[^'\\]|'')*)'::(?:text|character varying|character|bpchar)(?:\(\d+\))?$")


def enum_default(column: ColumnSpec, default: str) -> Composable:
    """A live default as the server spells it, as the value's: a literal stays one, all else is mapped as a text is."""
    literal = _LITERAL.match(default)
    if literal is None:
        return as_enum(column, SQL("({})").format(SQL(default)))
    text = literal.group(1).replace("''", "'")
    label = dict(column.words).get(text, text)
    return SQL("{}::{}").format(label, SQL(column.next_type))


def _mapped(reference: Composable, pairs: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> Composable:
    """A text, or what it is mapped to."""
    text = SQL("{}::pg_catalog.text").format(reference)
    if not pairs:
        return text
    cases = SQL(" ").join(SQL("WHEN {} THEN {}").format(was, becomes) for was, becomes in pairs)
    return SQL('(CASE {} COLLATE "C" {} ELSE {} END)').format(text, cases, text)
