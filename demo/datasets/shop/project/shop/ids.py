"""For the time in which ids are texts in the database and become uuids: one release, deployed before the cutover."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Dialect, MetaData, String
from sqlalchemy.types import UserDefinedType


class TextOrUuid(UserDefinedType[str]):
    """An id that is text or uuid in the database, and str in Python. No cast is written around its values."""

    cache_ok = True

    @property
    def python_type(self) -> type[str]:
        return str

    def get_col_spec(self, **_: Any) -> str:
        return "VARCHAR(36)"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:  # noqa: ARG002
        return lambda value: None if value is None else str(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        return lambda value: None if value is None else str(value)


def accept_both(metadata: MetaData) -> None:
    """Give every column of ids this type, whichever way its model says `String(36)`; before the first statement."""
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, String) and column.type.length == 36:
                column.type = TextOrUuid()
