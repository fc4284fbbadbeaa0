"""Expressions: how a live value becomes the next one, and how two rows are compared."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from uuid import NAMESPACE_URL, uuid5

from psycopg.sql import SQL, Composable, Identifier

from replank.values.reference import Reference, quarantine_name
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.values.enum_texts import as_enum, enum_text, is_enum_text, not_spelled_so
from sql.values.equality_operators import as_bytes, leads_to, operator

HAS_INPUT_IS_VALID = 160_000
"""`pg_input_is_valid` exists from this `server_version_num` on."""

# Two forms PostgreSQL's uuid_in accepts: bare and braced, a hyphen allowed after any four digits.
UUID_PATTERN = "^([0-9a-f]{4}(-?[0-9a-f]{4}){7}|[{][0-9a-f]{4}(-?[0-9a-f]{4}){7}[}])$"


def type_name(name: str) -> SQL:
    """A type as `format_type` spelled it: quoted by the server itself, not input from outside."""
    return SQL(name)


NAMESPACE = uuid5(NAMESPACE_URL, "https://replank.dev/name-based")
"""Of name-based uuids: `uuid3(NAMESPACE, text)` gives the same in any language."""


def converted(column: ColumnSpec, reference: Composable, version: int) -> Composable:
    """`reference` (of the live type) as the next type. `::text` first strips char(n)'s padding."""
    if not column.converted:
        return reference
    reference = meant(column, reference)
    cast = _cast(column, reference)
    match column.on_invalid:
        case "fail" | "quarantine":
            # Rows in quarantine are left out by the caller: a text that was forgotten must be an error.
            return cast
        case "null":
            return SQL("CASE WHEN {} THEN {} END").format(is_convertible(column, reference, version), cast)
        case "name_based":
            named = name_based(SQL("{}::pg_catalog.text").format(reference))
            return SQL("CASE WHEN {} THEN {} ELSE {} END").format(is_valid(reference, version), cast, named)


def meant(column: ColumnSpec, reference: Composable) -> Composable:
    """A live value without what its foreign keys do not see: blanks at the end, where one of them compares chars."""
    if not column.blanks_ignored:
        return reference
    return SQL("pg_catalog.rtrim({}::pg_catalog.text)").format(reference)


def _cast(column: ColumnSpec, reference: Composable) -> Composable:
    if column.enum:
        return as_enum(column, reference)
    return SQL("{}::pg_catalog.text::{}").format(reference, type_name(column.next_type))


def name_based(text: Composable) -> Composable:
    """The version 3 uuid of a text (RFC 9562): MD5 of namespace and name, with the version's and variant's bits."""
    return SQL(
        "(SELECT pg_catalog.overlay(pg_catalog.overlay(h, '3', 13), pg_catalog.substr('89ab',"
        " 1 + (('x' || pg_catalog.substr(h, 17, 1))::bit(4)::int & 3), 1), 17)::uuid"
        " FROM pg_catalog.md5({}::bytea || pg_catalog.convert_to({}, 'UTF8')) AS h)"
    ).format("\\x" + NAMESPACE.hex, text)


def is_valid(reference: Composable, server_version: int, *, array: bool = False) -> Composable:
    """Whether a text, or each of an array's, is a uuid, by the server's own parser, or by the pattern before 16."""
    if server_version >= HAS_INPUT_IS_VALID:
        kind = "uuid[]" if array else "uuid"
        return SQL("pg_catalog.pg_input_is_valid({}::pg_catalog.text, {})").format(reference, kind)
    if array:
        each = SQL("SELECT FROM pg_catalog.unnest({}::pg_catalog.text::pg_catalog.text[]) AS e WHERE {} !~* {}")
        return SQL("NOT EXISTS ({})").format(each.format(reference, _bytewise(SQL("e")), UUID_PATTERN))
    return SQL("({} ~* {})").format(_bytewise(SQL("{}::pg_catalog.text").format(reference)), UUID_PATTERN)


def _bytewise(text: Composable) -> Composable:
    """No pattern is matched under a collation that takes different texts for equal."""
    return SQL('{} COLLATE pg_catalog."C"').format(text)


def is_convertible(column: ColumnSpec, reference: Composable, version: int) -> Composable:
    """Whether a live value is a uuid, an array of such, or a text of its enum; NULL for NULL."""
    reference = meant(column, reference)
    if column.enum:
        return is_enum_text(column, reference)
    return is_valid(reference, version, array=column.array)


def converted_if_valid(column: ColumnSpec, reference: Composable, version: int) -> Composable:
    """Like `converted`, but NULL where a text that is no uuid fails: a key that no job can have copied."""
    if not column.converted or column.on_invalid not in ("fail", "quarantine"):
        return converted(column, reference, version)
    valid = is_convertible(column, reference, version)
    return SQL("CASE WHEN {} THEN {} END").format(valid, _cast(column, meant(column, reference)))


def next_value(column: ColumnSpec, alias: str, version: int) -> Composable:
    """What the next table has for a live row: its own value, converted or filled, or the plan's expression."""
    if not column.value:
        return converted(column, Identifier(alias, column.name), version)
    value = SQL("({})::{}").format(type_name(column.value), type_name(column.next_type))
    if column.only_null:
        return SQL("coalesce({}, {})").format(Identifier(alias, column.name), value)
    return value


def canonical(column: ColumnSpec, reference: Composable) -> Composable:
    """A next value in the live type, spelled canonically."""
    if not column.converted:
        return reference
    return SQL("{}::{}").format(spelling(column, reference), type_name(column.live_type))


def spelling(column: ColumnSpec, reference: Composable) -> Composable:
    """A next value as the text that it is spelled with: of an enum as the plan maps it."""
    return enum_text(column, reference) if column.enum else SQL("{}::pg_catalog.text").format(reference)


def is_odd(columns: Iterable[ColumnSpec], alias: str, version: int) -> Composable:
    """Whether any converted column of a live row holds a uuid that is spelled otherwise than PostgreSQL would.

    Of an enum: a text that is not the one which its value gets in a rollback.
    """
    tests = [_is_odd(column, Identifier(alias, column.name), version) for column in columns if column.converted]
    return SQL("({})").format(SQL(" OR ").join(tests)) if tests else SQL("false")


def _is_odd(column: ColumnSpec, reference: Composable, version: int) -> Composable:
    test = differs_from_spelling(column, reference)
    if column.on_invalid == "fail":
        return test
    if column.blanks_ignored and column.on_invalid == "name_based":
        # Texts that differ in their blanks share the uuid that is made of them, so each may have a twin.
        named = converted(column, reference, version)
        return SQL('{}::pg_catalog.text COLLATE "C" <> {}::pg_catalog.text').format(reference, named)
    return SQL("CASE WHEN {} THEN {} ELSE false END").format(is_convertible(column, reference, version), test)


def differs_from_spelling(column: ColumnSpec, reference: Composable) -> Composable:
    """Whether a live text that converts would come back as another."""
    if column.enum:
        return not_spelled_so(column, reference)
    written = _cast(column, meant(column, reference))
    return SQL('{}::pg_catalog.text COLLATE "C" <> {}::pg_catalog.text').format(reference, written)


def live_values(spec: TableSpec, version: int) -> Composable:
    """The next values of a live row, for the columns an INSERT names."""
    values = [(column, next_value(column, "live", version)) for column in spec.written_columns]
    return SQL(", ").join(null_if_parent_quarantined(spec, column, "live", value) for column, value in values)


def null_if_parent_quarantined(spec: TableSpec, column: ColumnSpec, alias: str, value: Composable) -> Composable:
    """`value`, or NULL where the column leads to a row in quarantine and the plan says so."""
    quarantined = [_parent_quarantined(spec, each, alias) for each in spec.references if column.name in each.nulled]
    if not quarantined:
        return value
    return SQL("CASE WHEN NOT ({}) THEN {} END").format(SQL(" OR ").join(quarantined), value)


def _parent_quarantined(spec: TableSpec, reference: Reference, alias: str) -> Composable:
    """Whether a row leads to one in quarantine. For many rows the server makes the list of those once."""
    return SQL(
        "EXISTS (SELECT FROM {quarantined} AS quarantined JOIN {only}{parent} AS parent ON {same} WHERE {leads})"
    ).format(
        leads=leads_to(
            [Identifier(alias, name) for name in reference.columns], reference.ref_columns, reference.equality
        ),
        quarantined=Identifier("replank", quarantine_name(spec.run_id, reference.parent_no)),
        only=SQL("" if reference.parent_partitioned else "ONLY "),
        parent=Identifier(reference.parent_schema, reference.parent_name),
        same=same_parent_key(reference),
    )


def same_parent_key(reference: Reference) -> Composable:
    """The row `parent` has the key of the row `quarantined`."""
    return SQL(" AND ").join(
        SQL("{} {} {}").format(Identifier("parent", name), operator(schema), Identifier("quarantined", f"k{n}"))
        for n, (name, schema) in enumerate(zip(reference.parent_key, reference.parent_operators, strict=True), start=1)
    )


def own_texts_valid(spec: TableSpec, alias: str, version: int) -> Composable:
    """Whether no text of a live row sends it into quarantine. NULL is no text."""
    tests = [
        SQL("{} IS NOT FALSE").format(is_convertible(column, Identifier(alias, column.name), version))
        for column in spec.quarantining_columns
    ]
    return SQL("({})").format(SQL(" AND ").join(tests)) if tests else SQL("true")


def column_list(columns: Iterable[ColumnSpec], alias: str | None = None) -> Composable:
    """Names, comma-separated, with or without an alias."""
    return SQL(", ").join(
        Identifier(column.name) if alias is None else Identifier(alias, column.name) for column in columns
    )


class ComparedBy(StrEnum):
    """Where two rows are compared: as the next table has them, or as the live one spells them."""

    VALUES = "values"
    TEXTS = "texts"


def row_hash(
    spec: TableSpec, alias: str, version: int, *, live: bool, compared_by: ComparedBy = ComparedBy.VALUES
) -> Composable:
    """A 64-bit hash of a whole row, the same on both sides if the rows are the same.

    Writing a uuid as text is ten times cheaper than reading one, so spellings are compared first: equal
    sums prove that every text is the canonical one of its uuid. `hash_record_extended` follows each type's
    equality; where that is not identity the column goes in as text, so 1.0 and 1.00 differ. It adds its
    columns' hashes, each times a power of 31: added up over rows, it would not see two rows that have
    exchanged a value. So every row is hashed with its own key as the seed.
    """
    values = {
        c.name: _hashed(spec, c, alias, version, live=live, compared_by=compared_by) for c in spec.compared_columns
    }
    return SQL(
        "pg_catalog.hash_record_extended(ROW({})::record, pg_catalog.hash_record_extended(ROW({})::record, 0))"
    ).format(SQL(", ").join(values.values()), SQL(", ").join(values[name] for name in spec.key))


def _hashed(
    spec: TableSpec, column: ColumnSpec, alias: str, version: int, *, live: bool, compared_by: ComparedBy
) -> Composable:
    reference: Composable = Identifier(alias, column.name)
    if live and (compared_by is ComparedBy.VALUES or not column.converted):
        reference = next_value(column, alias, version)
        if column.on_invalid == "quarantine":
            # The planner may evaluate it before it has left out the rows in quarantine.
            reference = converted_if_valid(column, Identifier(alias, column.name), version)
        reference = null_if_parent_quarantined(spec, column, alias, reference)
    if not live and column.enum and compared_by is ComparedBy.TEXTS:
        return SQL('{} COLLATE "C"').format(spelling(column, reference))
    as_text = column.hash_as_text or (column.converted and compared_by is ComparedBy.TEXTS)
    return as_bytes(column, reference) if as_text else reference
