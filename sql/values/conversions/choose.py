"""Which conversion a column has."""

from __future__ import annotations

from replank.values.table_spec import ColumnSpec
from sql.values.conversions.base import Conversion
from sql.values.conversions.enums import ToEnum
from sql.values.conversions.uuids import ToUuid


def conversion_of(column: ColumnSpec, version: int) -> Conversion:
    """The conversion of a column whose type changes."""
    if column.enum:
        return ToEnum(column=column, version=version)
    return ToUuid(column=column, version=version)
