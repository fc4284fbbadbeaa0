"""What the models must say after the run and do not say yet, as values; a second time nothing is left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from producer.alembic.models.models import ModelColumn, Models, ModelTable
from producer.history.changes.changes import (
    AddedColumn,
    AddedIndex,
    Change,
    EnumValues,
    KeyChanged,
    LostForeignKey,
    RenamedEnum,
    SettledColumn,
    Table,
    ToEnum,
    ToUuid,
)

Kind = Literal["type", "column", "index", "key", "foreign_key"]

TYPES = {
    "uuid": "Uuid(as_uuid=False)",
    "text": "Text()",
    "boolean": "Boolean()",
    "smallint": "SmallInteger()",
    "integer": "Integer()",
    "bigint": "BigInteger()",
    "date": "Date()",
    "timestamp without time zone": "DateTime()",
    "timestamp with time zone": "DateTime(timezone=True)",
    "jsonb": "JSONB()",
    "numeric": "Numeric()",
    "double precision": "Double()",
}
"""SQLAlchemy's words for types of columns that come in; others are told in PostgreSQL's."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """`old` is what the model says, empty for nothing; `new` what it must say, as Python. `column` may be empty."""

    table: Table
    kind: Kind
    column: str
    old: str
    new: str


def differences(
    models: Models, changes: Iterable[Change], default_schema: str, *, as_uuid: bool = False
) -> list[Difference]:
    """Of tables that have a model; the others are passed over, `inspect --models` names them."""
    known = models.by_table(default_schema)
    found: list[Difference] = []
    for change in changes:
        if not isinstance(change, EnumValues | RenamedEnum) and change.table in known:
            found += _of_change(known[change.table], change.table, change, as_uuid)
    return list(dict.fromkeys(found))


def _of_change(model: ModelTable, table: Table, change: Change, as_uuid: bool) -> Iterator[Difference]:
    match change:
        case ToUuid() | ToEnum() | SettledColumn():
            column = model.column(change.column)
            if column is not None:
                yield from _of_column(table, column, change, as_uuid)
        case AddedColumn():
            if model.column(change.column) is None:
                new = _added(change)
                yield Difference(table=table, kind="column", column=change.column, old="", new=new)
        case AddedIndex():
            if change.name not in {index.name for index in model.indexes}:
                new = f'Index("{change.name}", {_listed(change.columns)}{", unique=True" if change.unique else ""})'
                yield Difference(table=table, kind="index", column="", old="", new=new)
        case KeyChanged():
            yield from _of_key(model, table, change)
        case LostForeignKey():
            yield Difference(
                table=table,
                kind="foreign_key",
                column=", ".join(change.columns),
                old="ForeignKey(…)",
                new="no foreign key: what it led to is unique no longer; relationships need primaryjoin and foreign()",
            )


def uuid_type(*, as_uuid: bool) -> str:
    return "Uuid()" if as_uuid else "Uuid(as_uuid=False)"


def _of_default(table: Table, column: ModelColumn, change: ToUuid) -> Iterator[Difference]:
    """A default that the database makes is a uuid now: `gen_random_uuid()::text` has lost its cast."""
    old = column.server_default
    if change.default and old and not old.startswith("'") and old != change.default:
        yield Difference(
            table=table,
            kind="column",
            column=column.name,
            old=f"server_default=text({old!r})",
            new=f"server_default=text({change.default!r})",
        )


def _of_column(
    table: Table, column: ModelColumn, change: ToUuid | ToEnum | SettledColumn, as_uuid: bool
) -> Iterator[Difference]:
    if isinstance(change, ToUuid):
        yield from _of_default(table, column, change)
    if isinstance(change, ToUuid) and not column.is_uuid:
        new = uuid_type(as_uuid=as_uuid)
        if column.type.startswith("ARRAY"):
            if "Uuid" in column.type or "UUID" in column.type:
                return
            new = f"ARRAY({new})"
        yield Difference(table=table, kind="type", column=column.name, old=column.type, new=new)
    elif isinstance(change, ToEnum) and not column.type.startswith(("Enum(", "ENUM(")):
        labels = ", ".join(f'"{label}"' for label in change.labels)
        new = f'Enum({labels}, name="{change.enum[1]}")'
        yield Difference(table=table, kind="type", column=column.name, old=column.type, new=new)
    elif isinstance(change, SettledColumn):
        if change.not_null and column.nullable:
            yield Difference(table=table, kind="column", column=column.name, old="nullable=True", new="nullable=False")
        if change.default and column.server_default is None:
            new = f"server_default=text({change.default!r})"
            yield Difference(table=table, kind="column", column=column.name, old="", new=new)


def _added(change: AddedColumn) -> str:
    kind = TYPES.get(change.type, change.type)
    default = f", server_default=text({change.default!r})" if change.default else ""
    not_null = ", nullable=False" if change.not_null else ""
    unique = ", unique=True" if change.unique else ""
    return f'mapped_column("{change.column}", {kind}{not_null}{default}{unique})'


def _of_key(model: ModelTable, table: Table, change: KeyChanged) -> Iterator[Difference]:
    over = change.columns
    if change.kind == "id":
        if set(model.primary_key) != set(over):
            old, new = (f"primary key ({', '.join(names)})" for names in (model.primary_key, over))
            yield Difference(table=table, kind="key", column="", old=old, new=f"{new}: primary_key=True on each")
        return
    there = next((one for one in (*model.uniques, *model.indexes) if one.name == change.name), None)
    # Without a name PostgreSQL gave it one: then what it was over is found in the new columns.
    if there is None:
        there = next((one for one in model.uniques if one.name is None and set(one.columns) <= set(over)), None)
    if there is None or (there.columns == over and there.unique == (change.kind == "unique")):
        return
    old = f"unique ({', '.join(str(name) for name in there.columns)})"
    made = "UniqueConstraint" if there in model.uniques and change.kind == "unique" else "Index"
    name = f', name="{change.name}"' if made == "UniqueConstraint" else ""
    first = "" if made == "UniqueConstraint" else f'"{change.name}", '
    unique = ", unique=True" if made == "Index" and change.kind == "unique" else ""
    yield Difference(table=table, kind="key", column="", old=old, new=f"{made}({first}{_listed(over)}{name}{unique})")


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def lost_foreign_keys(
    models: Models, partitioned: Mapping[Table, str], default_schema: str
) -> Iterator[LostForeignKey]:
    """Foreign keys of the models that lead to a partitioned table by columns which are no key of it any more.

    `partitioned` maps tables to the column that they are partitioned by.
    """
    for table in models.tables:
        for key in table.foreign_keys:
            led_to = (key.ref_schema or default_schema, key.ref_table)
            if led_to in partitioned and partitioned[led_to] not in key.ref_columns:
                yield LostForeignKey(table=table.named(default_schema), columns=key.columns)
