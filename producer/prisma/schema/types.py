"""PostgreSQL's types and defaults as Prisma writes them.

The table is Prisma's own (its reference of the schema file, PostgreSQL connector). Where a type is not the one
that Prisma would choose for the scalar, the field says it: `DateTime @db.Timestamptz(6)`.
"""

from __future__ import annotations

import re

from producer.prisma.schema.document import Attribute, attribute
from producer.prisma.schema.tokens import quoted

# Bare type -> scalar, native type (empty where it is the scalar's own), default precision or "".
_TYPES: dict[str, tuple[str, str, str]] = {
    "text": ("String", "", ""),
    "character varying": ("String", "VarChar", ""),
    "character": ("String", "Char", "1"),
    "uuid": ("String", "Uuid", ""),
    "xml": ("String", "Xml", ""),
    "inet": ("String", "Inet", ""),
    "citext": ("String", "Citext", ""),
    "bit": ("String", "Bit", "1"),
    "bit varying": ("String", "VarBit", ""),
    "boolean": ("Boolean", "", ""),
    "integer": ("Int", "", ""),
    "smallint": ("Int", "SmallInt", ""),
    "oid": ("Int", "Oid", ""),
    "bigint": ("BigInt", "", ""),
    "double precision": ("Float", "", ""),
    "real": ("Float", "Real", ""),
    "numeric": ("Decimal", "Decimal", ""),
    "money": ("Decimal", "Money", ""),
    "timestamp without time zone": ("DateTime", "Timestamp", "6"),
    "timestamp with time zone": ("DateTime", "Timestamptz", "6"),
    "time without time zone": ("DateTime", "Time", "6"),
    "time with time zone": ("DateTime", "Timetz", "6"),
    "date": ("DateTime", "Date", ""),
    "jsonb": ("Json", "", ""),
    "json": ("Json", "Json", ""),
    "bytea": ("Bytes", "", ""),
}

_SAME_AS_SCALAR = {("DateTime", "Timestamp", "3"), ("Decimal", "Decimal", "65,30")}
"""What Prisma means where the file says nothing."""

_MODIFIED = re.compile(r"^([a-z ]+?)\s*\((\d+(?:,\d+)?)\)(.*)$")
_TEXT = re.compile(r"^'((?:[^']|'')*)'(?:::[\w \".()]+(?:\[\])?)?$")
_NUMBER = re.compile(r"^'?(-?\d+(?:\.\d+)?)'?(?:::[\w ]+(?:\(\d+(?:,\d+)?\))?)?$")
_NOW = ("now()", "CURRENT_TIMESTAMP", "transaction_timestamp()")
_EMPTY_ARRAY = re.compile(r"^('\{\}'::.+\[\]|ARRAY\[\]::.+\[\])$")


def prisma_type(spelled: str) -> tuple[str, str, Attribute | None]:
    """Scalar, arity and native type of a type that `format_type` spelled.

    >>> [str(part) for part in prisma_type("timestamp(3) with time zone[]")]
    ['DateTime', '[]', 'db.Timestamptz(3)']

    A type that Prisma has no scalar for becomes `Unsupported("…")`.
    """
    listed = spelled.endswith("[]")
    bare, given = spelled.removesuffix("[]"), ""
    modified = _MODIFIED.match(bare)
    if modified:
        bare, given = (modified.group(1) + modified.group(3)).strip(), modified.group(2)
    known = _TYPES.get(bare)
    if known is None:
        return f"Unsupported({quoted(spelled)})", "", None
    scalar, native, usual = known
    precision = given or usual
    if not native or (scalar, native, precision) in _SAME_AS_SCALAR:
        return scalar, "[]" if listed else "", None
    values = [part.strip() for part in precision.split(",")] if precision else []
    if values and native == "Decimal" and len(values) == 1:
        values.append("0")
    return scalar, "[]" if listed else "", attribute(f"db.{native}", *values)


def default_of(default: str, scalar: str, arity: str = "", *, enum: bool = False) -> Attribute | None:
    """`@default(…)` for a default as `pg_get_expr` writes it; None where the database has none."""
    if not default:
        return None
    if arity == "[]":
        return attribute("default", "[]" if _EMPTY_ARRAY.match(default) else _generated(default))
    text = _TEXT.match(default)
    if enum and text:
        return attribute("default", text.group(1).replace("''", "'"))
    plain = _plain(default, scalar, text)
    return attribute("default", plain if plain is not None else _generated(default))


def _plain(default: str, scalar: str, text: re.Match[str] | None) -> str | None:
    """A default that Prisma has a word for."""
    number = _NUMBER.match(default)
    if scalar in ("Int", "BigInt", "Float", "Decimal"):
        if default.startswith("nextval("):
            return "autoincrement()"
        return number.group(1) if number else None
    if scalar == "Boolean":
        return default if default in ("true", "false") else None
    if scalar == "DateTime":
        return "now()" if default in _NOW else None
    if scalar in ("String", "Json") and text and "uuid" not in default.rpartition("::")[2]:
        return quoted(text.group(1).replace("''", "'"))
    return None


def _generated(default: str) -> str:
    return f"dbgenerated({quoted(default)})"
