"""Reading the live catalogue: tables, columns, keys, foreign keys, and what hangs on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from replank.values.reference import Equality, equality_from_json
from replank.values.table_spec import PartitionSpec, Relation
from sql.session.connection import Connection, row, rows, value
from sql.session.named_queries import query, query_for_each

TEXT_TYPES = ("text", "varchar", "bpchar")
TEXT_ARRAYS = ("_text", "_varchar", "_bpchar")


@dataclass(frozen=True, kw_only=True)
class LiveColumn:
    """A column as it is. `type` is `format_type`'s spelling, `type_name` the bare `pg_type.typname`.

    `base_type` and `base_name` are what a domain is made of in the end, and the same as these of other types; what
    begins with `domain_` is what domains add: NOT NULL, a default, CHECKs as `name CHECK (...)`.
    """

    name: str
    attnum: int
    type: str
    type_name: str
    typtype: str
    not_null: bool
    generated: bool
    identity: str
    default_expr: str | None
    hash_as_text: bool
    hash_by_output: bool
    nondeterministic: bool
    """Whether texts that differ in their bytes may be equal in its collation."""
    operators: str
    """The schema of the comparison operators that its type has by itself."""
    base_type: str
    base_name: str
    domain_not_null: bool
    domain_default: str | None
    domain_checks: Sequence[str]
    blanks_ignored: bool = False
    """Whether it is converted without blanks at the end (`producer.planning.trailing_blanks`)."""

    @property
    def is_text(self) -> bool:
        return self.typtype == "b" and self.type_name in TEXT_TYPES

    @property
    def is_domain(self) -> bool:
        return self.typtype == "d"

    @property
    def present_default(self) -> str | None:
        """What a row gets that does not name the column."""
        return self.default_expr if self.default_expr is not None else self.domain_default

    def becomes(self, wanted: str) -> bool:
        """Whether its values can be read as `uuid`, or as `uuid[]`. Of a domain its base type counts."""
        return self.base_name in (TEXT_ARRAYS if wanted == "uuid[]" else TEXT_TYPES)


@dataclass(frozen=True, kw_only=True)
class LiveTable:
    """A table as it is. `key` is empty where no unique index over NOT NULL columns exists."""

    oid: int
    schema: str
    name: str
    relkind: str
    is_partition: bool
    persistence: str
    has_children: bool
    has_parent: bool
    typed: bool
    subscribed: bool
    rows_estimate: int
    table_bytes: int
    index_bytes: int
    heap_blocks: int
    longest_heap: int
    """Blocks of the longest of its heaps: of the leaves, where it is partitioned."""
    owned: bool
    columns: tuple[LiveColumn, ...] = ()
    key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = field(default=())
    unusable_keys: tuple[str, ...] = ()
    """Unique indexes that cannot name a row: they compare otherwise than their columns do by themselves."""

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def partitioned(self) -> bool:
        return self.relkind == "p"

    @property
    def kin(self) -> bool:
        """Whether classic inheritance joins it to other tables."""
        return self.is_inheritance_child or (self.has_children and not self.partitioned)

    @property
    def is_inheritance_child(self) -> bool:
        """Whether it inherits from others in the classic way."""
        return self.has_parent and not self.is_partition

    def column(self, name: str) -> LiveColumn | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """A foreign key, with the definition `pg_get_constraintdef` gives (names fully qualified).

    `schema` and `table_name` may be a partition's; `table_oid` and `ref_oid` are those of whole tables.
    """

    oid: int
    name: str
    table_oid: int
    ref_oid: int
    schema: str
    table_name: str
    ref_schema: str
    ref_table: str
    columns: tuple[str, ...]
    ref_columns: tuple[str, ...]
    definition: str
    validated: bool
    partitioned: bool
    comment: str | None
    equality: tuple[Equality, ...]
    period: bool
    """Whether its last columns are periods: those that are referred to must cover it together."""
    ref_partitioned: bool = False
    full: bool = False
    """Whether it is MATCH FULL."""
    orphans: int = 0
    """Rows without a parent that were there when the run began and that its plan lets stay: it comes back NOT VALID."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """The server and our rights on it. `version` is `server_version_num`, e.g. 180006."""

    version: int
    database: str
    system_identifier: str
    role: str
    superuser: bool
    may_create: bool
    reads_all_stats: bool


def read_server(connection: Connection) -> Server:
    found = row(connection, query("catalogue.server"))
    assert found is not None
    return Server(**found)


def read_tables(connection: Connection, oids: Iterable[int] | None = None) -> list[LiveTable]:
    """User tables with columns and keys, in name order; all of them, or those of `oids`."""
    tables = rows(connection, query("catalogue.user_tables"), {"oids": None if oids is None else list(oids)})
    wanted = {"oids": [table["oid"] for table in tables]}
    columns: dict[int, list[LiveColumn]] = defaultdict(list)
    for column in rows(connection, query("catalogue.columns"), wanted):
        columns[column.pop("oid")].append(LiveColumn(**column))
    keys: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for key in rows(connection, query("catalogue.keys"), wanted):
        keys[key["oid"]].append(key)
    return [
        LiveTable(
            **table,
            columns=tuple(columns[table["oid"]]),
            key=next((tuple(key["columns"]) for key in keys[table["oid"]] if key["usable"]), ()),
            unique=tuple(tuple(key["columns"]) for key in keys[table["oid"]]),
            unusable_keys=tuple(key["name"] for key in keys[table["oid"]] if not key["usable"]),
        )
        for table in tables
    ]


def read_foreign_keys(connection: Connection, oids: Sequence[int] | None = None) -> list[ForeignKey]:
    """All foreign keys, or those that start from or lead to one of `oids`."""
    found = rows(connection, query("catalogue.foreign_keys"), {"oids": None if oids is None else list(oids)})
    return [
        ForeignKey(
            **{
                **key,
                "columns": tuple(key["columns"]),
                "ref_columns": tuple(key["ref_columns"]),
                "equality": equality_from_json(key["equality"]),
            }
        )
        for key in found
    ]


def correlation(connection: Connection, table: LiveTable) -> float | None:
    """How far the physical order follows the key's leading column (-1 to 1); None if never analysed."""
    if not table.key:
        return None
    found = row(
        connection,
        query("catalogue.correlation"),
        {"schema": table.schema, "table": table.name, "column": table.key[0]},
    )
    return None if found is None else found["correlation"]


def partitions(connection: Connection, oid: int) -> tuple[PartitionSpec, ...]:
    """Every partition of a table, at any depth, parents first; none where it is plain."""
    return tuple(
        PartitionSpec(**r) for r in rows(connection, query("catalogue.partitions"), {"oid": oid}, prepare=True)
    )


def partitions_of(connection: Connection, oids: Sequence[int]) -> dict[int, tuple[PartitionSpec, ...]]:
    """The same for each of many tables."""
    found: dict[int, list[PartitionSpec]] = {oid: [] for oid in oids}
    named = {"roots": list(found), "members": list(found)}
    for part in rows(connection, query_for_each("catalogue.partitions"), named, prepare=True):
        root, _ = part.pop("root"), part.pop("number")
        found[root].append(PartitionSpec(**part))
    return {oid: tuple(parts) for oid, parts in found.items()}


def partition_key(connection: Connection, oid: int) -> str:
    """How a table is partitioned, as the server writes it: `RANGE (created_at)`. Empty for a plain one."""
    return str(value(connection, query("catalogue.partition_key"), {"oid": oid}))


AnyRelation = TypeVar("AnyRelation", bound=Relation)


def still_there(connection: Connection, relations: Sequence[AnyRelation]) -> list[AnyRelation]:
    """Those that have neither been dropped nor renamed, nor been replaced by another of their name."""
    found = {(t.oid, t.schema, t.name) for t in read_tables(connection, [r.oid for r in relations])}
    return [relation for relation in relations if (relation.oid, relation.schema, relation.name) in found]
