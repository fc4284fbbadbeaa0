"""Expressions: how a live value becomes the next one, and how two rows are compared."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from psycopg.sql import SQL, Composable, Identifier

from replank.values.reference import Reference, quarantine_name
from replank.values.table_spec import ColumnSpec, TableSpec
from sql.values.conversions.choose import conversion_of
from sql.values.equality_operators import as_bytes, leads_to, operator
from sql.values.uuid_texts import is_valid, name_based


def type_name(name: str) -> SQL:
    """A type as `format_type` spelled it: quoted by the server itself, not input from outside."""
    return SQL(name)


def converted(column: ColumnSpec, reference: Composable, version: int) -> Composable:
    """`reference` (of the live type) as the next type, with what the plan wants of values that do not convert."""
    if not column.converted:
        return reference
    reference = meant(column, reference)
    cast = conversion_of(column, version).forward(reference)
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


def is_convertible(column: ColumnSpec, reference: Composable, version: int) -> Composable:
    """Whether a live value becomes one of the next type; NULL for NULL."""
    return conversion_of(column, version).convertible(meant(column, reference))


def converted_if_valid(column: ColumnSpec, reference: Composable, version: int) -> Composable:
    """Like `converted`, but NULL where a text that is no uuid fails: a key that no job can have copied."""
    if not column.converted or column.on_invalid not in ("fail", "quarantine"):
        return converted(column, reference, version)
    valid = is_convertible(column, reference, version)
    return SQL("CASE WHEN {} THEN {} END").format(
        valid, conversion_of(column, version).forward(meant(column, reference))
    )


def comparable_if_valid(column: ColumnSpec, reference: Composable, version: int) -> Composable:
    """A live value so that it equals another where both become the same. The next type need not be there yet."""
    if not column.converted:
        return reference
    if column.on_invalid in ("null", "name_based") and not column.enum:
        return converted(column, reference, version)
    valid, read = is_convertible(column, reference, version), meant(column, reference)
    return SQL("CASE WHEN {} THEN {} END").format(valid, conversion_of(column, version).comparable(read))


def next_value(column: ColumnSpec, alias: str, version: int) -> Composable:
    """What the next table has for a live row: its own value, converted or filled, or the plan's expression."""
    if not column.value:
        return converted(column, Identifier(alias, column.name), version)
    value = SQL("({})::{}").format(type_name(column.value), type_name(column.next_type))
    if column.only_null:
        return SQL("coalesce({}, {})").format(Identifier(alias, column.name), value)
    return value


def canonical(column: ColumnSpec, reference: Composable, version: int) -> Composable:
    """A next value in the live type, spelled canonically."""
    return conversion_of(column, version).backward(reference) if column.converted else reference


def is_odd(columns: Iterable[ColumnSpec], alias: str, version: int) -> Composable:
    """Whether any converted column of a live row holds a uuid that is spelled otherwise than PostgreSQL would.

    Of an enum: a text that is not the one which its value gets in a rollback.
    """
    tests = [_is_odd(column, Identifier(alias, column.name), version) for column in columns if column.converted]
    return SQL("({})").format(SQL(" OR ").join(tests)) if tests else SQL("false")


def _is_odd(column: ColumnSpec, reference: Composable, version: int) -> Composable:
    test = differs_from_spelling(column, reference, version)
    if column.on_invalid == "fail":
        return test
    if column.blanks_ignored and column.on_invalid == "name_based":
        # Texts that differ in their blanks share the uuid that is made of them, so each may have a twin.
        named = converted(column, reference, version)
        return SQL('{}::pg_catalog.text COLLATE "C" <> {}::pg_catalog.text').format(reference, named)
    return SQL("CASE WHEN {} THEN {} ELSE false END").format(is_convertible(column, reference, version), test)


def differs_from_spelling(column: ColumnSpec, reference: Composable, version: int) -> Composable:
    """Whether a live value that converts would come back as another."""
    conversion = conversion_of(column, version)
    if column.blanks_ignored and not column.enum:
        written = conversion.backward_text(conversion.forward(meant(column, reference)))
        return SQL('{}::pg_catalog.text COLLATE "C" <> {}').format(reference, written)
    return conversion.differs(reference)


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
        return SQL('{} COLLATE "C"').format(conversion_of(column, version).backward_text(reference))
    as_text = column.hash_as_text or (column.converted and compared_by is ComparedBy.TEXTS)
    return as_bytes(column, reference) if as_text else reference
