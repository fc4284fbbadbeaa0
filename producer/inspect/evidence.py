"""What the catalogue and a sample of the values say about each column that may hold uuids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from producer.inspect.polymorphic import model_tables, type_sibling
from replank.activity import doing
from sql.catalogue import catalogue, fingerprints
from sql.catalogue.catalogue import TEXT_ARRAYS, ForeignKey, LiveColumn, LiveTable, Server
from sql.catalogue.dependents import joined
from sql.catalogue.foreign_code import foreign_functions
from sql.catalogue.inheritance import Relative, families, links
from sql.catalogue.prisma import HISTORY
from sql.catalogue.stores import read_stores
from sql.checks.sampling import Default, Sample, default_gives, readable_tables, sample_array, sample_columns
from sql.session.connection import Connection, rows
from sql.session.named_queries import query

Node = tuple[int, str]
"""A column: its table's oid and its name."""

_CAMEL_ID = re.compile(r"(?<=[a-z0-9])(?:Id|ID|Uuid|UUID|Guid|GUID)s?$")
_SNAKE_ID = re.compile(r"(?:^|_)(?:uu|gu)?ids?$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A text column, and what speaks for and against its becoming a uuid.

    `refusal` says why this version cannot convert it, whatever it holds; `type_sibling` is the column
    that says what a polymorphic reference leads to.
    """

    table: LiveTable
    column: LiveColumn
    sample: Sample
    default: Default
    unique: bool
    refusal: str | None
    type_sibling: str | None
    foreign_keys: tuple[ForeignKey, ...] = ()

    @property
    def node(self) -> Node:
        return self.table.oid, self.column.name

    @property
    def full_name(self) -> str:
        return f"{self.table.full_name}.{self.column.name}"

    @property
    def is_primary(self) -> bool:
        return self.column.name in self.table.key

    @property
    def named_as_id(self) -> bool:
        return looks_like_id(self.column.name)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything the decision is made from."""

    server: Server
    tables: tuple[LiveTable, ...]
    foreign_keys: tuple[ForeignKey, ...]
    candidates: dict[Node, Candidate] = field(default_factory=dict)
    arrays: tuple[Candidate, ...] = ()
    """Array columns of which every element looked at is a uuid."""
    joined: tuple[tuple[int, int], ...] = ()
    """Pairs of a table's oid and that of a view, function or other table that reads it."""
    families: Mapping[int, Sequence[Relative]] = field(default_factory=dict)
    """Tables that classic inheritance joins to others, each with its whole family."""
    inherited: tuple[tuple[int, int], ...] = ()
    """The oids of children and of a parent of each."""


def looks_like_id(name: str) -> bool:
    """Whether people call such a column an id: `id`, `user_id`, `userId`, `trace_uuid`."""
    return bool(_SNAKE_ID.search(name) or _CAMEL_ID.search(name))


def read_evidence(connection: Connection, *, sample_rows: int) -> Evidence:
    """Read catalogue and samples. The session must be read-only: defaults are evaluated in it."""
    doing("reading the catalogue")
    server = catalogue.read_server(connection)
    # A partition is part of its table, which a plan names as a whole.
    tables = [table for table in catalogue.read_tables(connection) if not table.is_partition]
    keys = catalogue.read_foreign_keys(connection)
    models = model_tables(tables)
    wanted = {"oids": [table.oid for table in tables]}
    domains = {(r["oid"], r["name"]) for r in rows(connection, query("inspection.domain_columns"), wanted)}
    unique = {(r["oid"], r["name"]) for r in rows(connection, query("inspection.unique_columns"), wanted)}
    readable = readable_tables(connection)
    read_together = tuple(joined(connection, [table.oid for table in tables]))
    kin = families(connection, [table.oid for table in tables if table.kin])
    candidates: dict[Node, Candidate] = {}
    for table in tables:
        columns = [c for c in table.columns if c.is_text or (table.oid, c.name) in domains]
        samples: dict[str, Sample] = {}
        doing(f"reading a sample of {table.full_name}")
        if table.oid in readable:
            samples = sample_columns(
                connection, table, [c.name for c in columns], wanted=sample_rows, version=server.version
            )
        table_refusal = why_refused(connection, table, readable) if columns else None
        table_refusal = table_refusal or _family_refusal(connection, kin.get(table.oid, ()), tables, readable)
        for column in columns:
            node = (table.oid, column.name)
            candidates[node] = Candidate(
                table=table,
                column=column,
                sample=samples.get(column.name, Sample()),
                default=default_gives(
                    connection, column.default_expr if table.oid in readable else None, server.version
                ),
                unique=node in unique,
                refusal=_column_refusal(column) or table_refusal,
                type_sibling=type_sibling(table, column, keys, models),
                foreign_keys=tuple(k for k in keys if _takes_part(k, node)),
            )
    return Evidence(
        server=server,
        tables=tuple(tables),
        foreign_keys=tuple(keys),
        candidates=candidates,
        arrays=tuple(_arrays(connection, tables, readable, sample_rows, server.version)),
        joined=read_together,
        families=kin,
        inherited=tuple(links(connection, kin)),
    )


def _arrays(
    connection: Connection, tables: Sequence[LiveTable], readable: set[int], sample_rows: int, version: int
) -> Iterator[Candidate]:
    """Arrays of text whose elements are all uuids."""
    for table in tables:
        for column in (c for c in table.columns if c.type_name in TEXT_ARRAYS and table.oid in readable):
            sample = sample_array(connection, table, column.name, wanted=sample_rows, version=version)
            if not column.generated and sample.values == sample.uuids < 2 * sample.evident:
                yield Candidate(
                    table=table,
                    column=column,
                    sample=sample,
                    default="none",
                    unique=False,
                    refusal=None,
                    type_sibling=None,
                )


def why_refused(connection: Connection, table: LiveTable, readable: set[int]) -> str | None:
    """Why this version does not rebuild a table at all, or None. `readable` are the oids whose rows we may read."""
    if table.name == HISTORY:
        return "Prisma's migration history: Prisma writes texts there"
    stored = read_stores(connection, [table.oid, *(part.oid for part in catalogue.partitions(connection, table.oid))])
    if stored:
        return str(stored[0])
    if not table.key:
        return "the table has no primary key and no unique index on NOT NULL columns, so its rows cannot be identified"
    lost = fingerprints.not_carried(connection, [table.oid], replaced=None)[table.oid]
    if lost:
        some = "; ".join(f"{what}: {name}" for what, name in lost[:3])
        more = f"; and {len(lost) - 3} more" if len(lost) > 3 else ""
        return f"this version cannot carry over objects of the table ({some}{more})"
    if table.oid in readable:
        return None
    for foreign in foreign_functions(connection, read=[table.oid]):
        said = f"reading it would execute {foreign.function} of {foreign.owner} with this role's rights"
        return f"{said}: run `replank inspect` as its owner"
    return "this role cannot read the table"


def _family_refusal(
    connection: Connection, family: Sequence[Relative], tables: Sequence[LiveTable], readable: set[int]
) -> str | None:
    """Why a table that inheritance joins to others cannot be rebuilt with all of these."""
    by_oid = {table.oid: table for table in tables}
    for member in family:
        table = by_oid.get(member.oid)
        why = (member.what or "not one of the application's tables") if table is None else ""
        if table is not None:
            why = why_refused(connection, table, readable) or ""
        if why:
            return f"inheritance joins it to {member.full_name}, which cannot be rebuilt with it ({why})"
    return None


def _column_refusal(column: LiveColumn) -> str | None:
    if column.generated:
        return "it is a generated column"
    if not column.is_text:
        return f"its type is the domain {column.type}, and a uuid would lose the domain's constraints"
    return None


def _takes_part(key: ForeignKey, node: Node) -> bool:
    oid, name = node
    return (key.table_oid == oid and name in key.columns) or (key.ref_oid == oid and name in key.ref_columns)
