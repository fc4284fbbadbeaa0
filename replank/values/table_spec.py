"""What a table is and what it becomes: the value that every stage of a rebuild works from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from replank.names import joined_name
from replank.values.reference import Reference, quarantine_name


@dataclass(frozen=True, kw_only=True)
class ColumnSpec:
    """One column. Types are written as PostgreSQL's `format_type` writes them, fully qualified."""

    name: str
    live_type: str
    next_type: str
    generated: bool
    hash_as_text: bool
    """True where the type's own equality is not identity, or where it has no hash."""
    hash_by_output: bool = False
    """True where a cast to text would lose what the type's output has: blanks at the end of a char without a length."""
    loose: bool = False
    """Whether live values that are equal may differ in their bytes: citext, numeric, nondeterministic collations."""
    operators: str = "pg_catalog"
    """The schema of the comparison operators of its type, live and next."""
    blanks_ignored: bool = False
    """Whether blanks at the end of its texts mean nothing, because a foreign key compares it as char."""
    on_invalid: Literal["fail", "null", "name_based", "quarantine"] = "fail"
    """What becomes of a text that is no uuid, or no value of its enum."""
    value: str = ""
    """SQL over the live row `live` and the table's join; empty where the column keeps or converts its own."""
    only_null: bool = False
    compared: bool = True
    """False where `value` gives something else each time, so that live and next cannot be compared."""
    default: str = ""
    live_default: str = ""
    """What the live column has now, where the plan fills it."""
    not_null: bool = False
    unique: bool = False
    on_update: str = ""
    labels: tuple[str, ...] = ()
    """The values of the enum that it becomes, in their order."""
    words: tuple[tuple[str, str], ...] = ()
    """Texts that the plan maps to a value of another spelling: (text, value), in the plan's order."""
    drops_checks: bool = False
    """Whether CHECKs over its texts may be dropped that cannot be written for an enum."""

    @property
    def added(self) -> bool:
        """Whether the live table does not have it."""
        return self.live_type == ""

    @property
    def converted(self) -> bool:
        return not self.added and self.live_type != self.next_type

    @property
    def array(self) -> bool:
        """Whether it is converted element by element."""
        return self.converted and self.next_type.endswith("[]")

    @property
    def enum(self) -> bool:
        """Whether it becomes an enum."""
        return self.labels != ()

    @property
    def remembered(self) -> bool:
        """Whether a rollback needs a map of its texts: of an enum the plan has them, of arrays nothing has."""
        return self.converted and not self.array and not self.enum

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ColumnSpec:
        words = tuple((text, label) for text, label in document["words"])
        return cls(**{**document, "labels": tuple(document["labels"]), "words": words})


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A live relation that moves at the cutover: a table, or one of its partitions."""

    oid: int
    schema: str
    name: str

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def next_schema(self) -> str:
        return building_schema("replank_next", self.schema)

    @property
    def past_schema(self) -> str:
        return building_schema("replank_past", self.schema)

    @property
    def rolled_back_schema(self) -> str:
        """Where a new table goes when the past one takes its place again."""
        return building_schema("replank_rolled_back", self.schema)


@dataclass(frozen=True, kw_only=True)
class PartitionSpec(Relation):
    """One partition, at any depth. `bound` and `partitioned_by` are SQL that the server wrote.

    `parent` is the oid of the relation it is a part of; `partitioned_by` is empty for a leaf.
    """

    parent: int
    bound: str
    partitioned_by: str


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the next table is partitioned, where that is not as the live one is.

    `partitioned_by` is SQL, e.g. `RANGE ("created_at")`, and `column` its column; both are empty where a plain
    table is wanted. The partitions' `oid` and `parent` are those of the live table: they are made like it.
    """

    partitioned_by: str
    column: str
    partitions: tuple[PartitionSpec, ...]


@dataclass(frozen=True, kw_only=True)
class TableSpec(Relation):
    """One table of a run. `key` names the columns of the key that capture logs, in key order.

    `partitioned_by` is empty for a plain table; `partitions` come parents first. What begins with `next_` is
    said of the next table; it is the same as of the live one where there is no `layout`.
    """

    run_id: int
    table_no: int
    columns: tuple[ColumnSpec, ...]
    key: tuple[str, ...]
    capture: Literal["statement", "row"]
    partitioned_by: str
    partitions: tuple[PartitionSpec, ...]
    shape: str
    """A fingerprint of the live table's definition: the cutover refuses when it has changed."""
    method: Literal["rebuild", "backfill"] = "rebuild"
    join: str = ""
    """SQL after the live table wherever its values are read: left joins that find at most one row each."""
    layout: Layout | None = None
    quarantines: bool = False
    """Whether rows of it may be quarantined: it has texts that are no uuids, or leads to a table that has."""
    references: tuple[Reference, ...] = ()
    """Where it leads to tables whose rows may be quarantined."""
    kin: bool = False
    """Whether classic inheritance joins it to other tables."""
    plain_patterns: bool = False
    """Whether indexes for text patterns over converted columns may go, or become plain ones."""

    @property
    def partitioned(self) -> bool:
        return self.partitioned_by != ""

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The table and its partitions, parents first."""
        return (self, *self.partitions)

    @property
    def heaps(self) -> tuple[Relation, ...]:
        """The relations that store rows: the table itself, or its leaves."""
        if not self.partitioned:
            return (self,)
        return tuple(partition for partition in self.partitions if not partition.partitioned_by)

    @property
    def parents(self) -> tuple[Relation, ...]:
        """The relations that store no rows of their own, the table first; none if it is plain."""
        heaps = {heap.oid for heap in self.heaps}
        return tuple(relation for relation in self.relations if relation.oid not in heaps)

    @property
    def next_partitioned(self) -> bool:
        return (self.partitioned_by if self.layout is None else self.layout.partitioned_by) != ""

    @property
    def next_relations(self) -> tuple[Relation, ...]:
        """The relations of the next table, by the names they will have, the table first."""
        return self.relations if self.layout is None else (self, *self.layout.partitions)

    @property
    def next_heaps(self) -> tuple[Relation, ...]:
        """The relations of the next table that store rows."""
        if self.layout is None:
            return self.heaps
        return self.layout.partitions if self.next_partitioned else (self,)

    @property
    def log_name(self) -> str:
        return f"log_{self.run_id}_{self.table_no}"

    @property
    def odd_name(self) -> str:
        return f"odd_{self.run_id}_{self.table_no}"

    @property
    def stub_name(self) -> str:
        """What the next table of an inheritance child inherits from until it has its parents."""
        return f"replank_kin_{self.run_id}_{self.table_no}"

    @property
    def filled_name(self) -> str:
        return f"filled_{self.run_id}_{self.table_no}"

    @property
    def fill_name(self) -> str:
        return f"fill_{self.run_id}_{self.table_no}"

    @property
    def capture_name(self) -> str:
        return f"capture_{self.run_id}_{self.table_no}"

    @property
    def quarantine_name(self) -> str:
        return quarantine_name(self.run_id, self.table_no)

    @property
    def settles(self) -> bool:
        """Whether quarantine concerns it at all: tables that it does not concern pay nothing for it."""
        return self.quarantines or bool(self.references)

    @property
    def written_columns(self) -> tuple[ColumnSpec, ...]:
        """The columns an INSERT names: all but the generated ones, and new ones that only have a default."""
        return tuple(c for c in self.columns if not c.generated and not (c.added and not c.value))

    @property
    def quarantining_columns(self) -> tuple[ColumnSpec, ...]:
        """The columns whose texts must be uuids, or the row is quarantined."""
        return tuple(c for c in self.columns if c.converted and c.on_invalid == "quarantine")

    @property
    def compared_columns(self) -> tuple[ColumnSpec, ...]:
        """The columns that say the same on both sides: all but those whose value is new each time."""
        return tuple(c for c in self.columns if c.compared)

    @property
    def key_columns(self) -> tuple[ColumnSpec, ...]:
        by_name = {column.name: column for column in self.columns}
        return tuple(by_name[name] for name in self.key)

    @property
    def converts(self) -> bool:
        """Whether the type of any column changes."""
        return any(column.converted for column in self.columns)

    @property
    def key_converted(self) -> bool:
        return any(column.converted for column in self.key_columns)

    @property
    def key_stays_unique(self) -> bool:
        """Whether the next table sees to it; across partitions it does only with their column in the key."""
        return self.layout is None or not self.next_partitioned or self.layout.column in self.key

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TableSpec:
        columns = tuple(ColumnSpec.from_json(column) for column in document["columns"])
        partitions = tuple(PartitionSpec(**partition) for partition in document["partitions"])
        made: dict[str, Any] = {"columns": columns, "key": tuple(document["key"]), "partitions": partitions}
        made["references"] = tuple(Reference.from_json(each) for each in document["references"])
        if document.get("layout") is not None:
            laid_out = tuple(PartitionSpec(**partition) for partition in document["layout"]["partitions"])
            made["layout"] = Layout(**{**document["layout"], "partitions": laid_out})
        return cls(**{**document, **made})


def building_schema(prefix: str, schema: str) -> str:
    """`replank_next` for `public`, `replank_next_<schema>` for the others."""
    return prefix if schema == "public" else joined_name(prefix, schema)
