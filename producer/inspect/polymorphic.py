"""Polymorphic references: an id, and beside it a column that says of which table. No foreign key can join them.

The other column is called like the id (`owner_type` beside `owner_id`, a text or the number of a type), or it leads to
the table in which Django numbers its models: `content_type_id` beside `object_id`, a GenericForeignKey.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from sql.catalogue.catalogue import ForeignKey, LiveColumn, LiveTable

_STEM = re.compile(r"^(?P<stem>.+?)(?:_id|Id|ID|_uuid|Uuid|_pk)$")
_NAMES = ("_type", "Type", "_kind", "Kind")
_NUMBERS = ("_type_id", "TypeId", "_kind_id", "KindId")
_INTEGERS = ("int2", "int4", "int8")
_ID = re.compile(r"(?:^|_)(?:(?:uu|gu)?id|pk)$|(?<=[a-z0-9])(?:Id|ID|Uuid|UUID|Pk)$", re.IGNORECASE)
_CONTENT_TYPE = re.compile(r"^(?P<prefix>.*?)(?:content_?type|ctype|ct)(?:_id)?$", re.IGNORECASE)
MODELS_COLUMNS = {"id", "app_label", "model"}
"""By these columns Django's table of content types is known, whatever it is called."""


def model_tables(tables: Iterable[LiveTable]) -> frozenset[int]:
    """The oids of tables in which Django numbers its models."""
    return frozenset(table.oid for table in tables if {column.name for column in table.columns} >= MODELS_COLUMNS)


def type_sibling(
    table: LiveTable, column: LiveColumn, keys: Sequence[ForeignKey], models: frozenset[int]
) -> str | None:
    """The column that says what a reference leads to; None where there is none. `keys` are all foreign keys."""
    return _called_alike(table, column) or _content_type(table, column, keys, models)


def _called_alike(table: LiveTable, column: LiveColumn) -> str | None:
    stem = _STEM.match(column.name)
    if stem is None:
        return None
    names = {stem["stem"] + ending for ending in _NAMES}
    numbers = {stem["stem"] + ending for ending in _NUMBERS}
    return next(
        (c.name for c in table.columns if c.name in names or (c.name in numbers and c.type_name in _INTEGERS)), None
    )


def _content_type(
    table: LiveTable, column: LiveColumn, keys: Sequence[ForeignKey], models: frozenset[int]
) -> str | None:
    """The reference to a model that is written beside this id: the one whose name begins most like it."""
    joined = {name for key in keys if key.table_oid == table.oid for name in key.columns}
    ids = [c.name for c in table.columns if c.name not in joined and c.name not in table.key and _ID.search(c.name)]
    found = dict(_prefixes(table, keys, models))
    for name in sorted(found, key=lambda each: len(found[each]), reverse=True):
        beside = [each for each in ids if each.startswith(found[name]) and each != name]
        # Without a prefix any id of the table could be meant: the one that is called an object is.
        objects = [each for each in beside if "object" in each.lower()]
        if column.name in (objects or beside):
            return name
    return None


def _prefixes(table: LiveTable, keys: Sequence[ForeignKey], models: frozenset[int]) -> Iterator[tuple[str, str]]:
    """Columns that say a model by its number, with what stands before `content_type_id` in their names.

    Without a foreign key (Django's db_constraint = False) the name alone says so.
    """
    leading = {
        key.columns[0] for key in keys if key.table_oid == table.oid and key.ref_oid in models and len(key.columns) == 1
    }
    for column in (column for column in table.columns if column.type_name in _INTEGERS):
        named = _CONTENT_TYPE.match(column.name)
        if column.name in leading:
            yield column.name, named["prefix"] if named else ""
        elif named and models and "content" in column.name.lower():
            yield column.name, named["prefix"]
