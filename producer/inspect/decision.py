"""Deciding which columns become uuid: a column and everything a foreign key joins it to must agree.

Keys and what foreign keys join to them are proposed. Other columns that hold only uuids may be hashes, tokens or ids of
another's: they are named with the evidence, for the operator to decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from producer.inspect.evidence import Candidate, Evidence, Node
from producer.inspect.proposal import LeftAlone, PossibleColumn, Proposal, ProposedColumn, ProposedTable
from producer.planning.conversion_sets import conversion_sets
from replank.wording import counted, verb
from sql.catalogue.catalogue import ForeignKey, LiveTable
from sql.checks.sampling import Sample

VALUES_WITHOUT_NAME = 10
"""So many values, all of them uuids, convince where neither name nor key nor default speaks for an id."""


def propose(evidence: Evidence, *, every_uuid: bool = False) -> Proposal:
    """Accept a group of joined columns if something speaks for it and nothing against any of them.

    A group without a key among them is accepted with `every_uuid` only.
    """
    accepted: dict[Node, Candidate] = {}
    possible: list[Candidate] = []
    left: list[LeftAlone] = []
    prose = 0
    strangers = dict(_joined_to_strangers(evidence))
    for group in joined_groups(evidence.candidates, evidence.foreign_keys, evidence.inherited):
        members = [evidence.candidates[node] for node in group]
        against = {m.node: reason for m in members if (reason := _against(m) or strangers.get(m.node))}
        if not against and any(_speaks_for(m) for m in members):
            if every_uuid or any(_is_key(m) for m in members):
                accepted |= {m.node: m for m in members}
            else:
                possible += members
            continue
        for member in members:
            if _worth_naming(member):
                left.append(_left_alone(member, _reason_left(member, against, evidence.candidates)))
            else:
                prose += 1
    return Proposal(
        database=evidence.server.database,
        system_identifier=evidence.server.system_identifier,
        tables=_in_set_order(evidence, accepted),
        left_alone=tuple(sorted(left, key=lambda c: (c.schema, c.table))),
        prose_columns=prose,
        possible=tuple(_possible(member, evidence.tables) for member in [*possible, *evidence.arrays]),
    )


def joined_groups(
    candidates: Mapping[Node, Candidate], keys: Iterable[ForeignKey], inherited: Iterable[tuple[int, int]] = ()
) -> list[list[Node]]:
    """Columns in groups that foreign keys join, directly or over others. Composite keys join pairwise.

    `inherited` holds children and their parents: what a child inherits is joined to what it comes from.
    """
    parent: dict[Node, Node] = {node: node for node in candidates}

    def root(node: Node) -> Node:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    pairs = [pair for key in keys for pair in _pairs(key)]
    for child, heir_of in inherited:
        pairs += [((child, name), (oid, name)) for oid, name in candidates if oid == heir_of]
    for pair in pairs:
        if all(node in parent for node in pair):
            parent[root(pair[0])] = root(pair[1])
    groups: dict[Node, list[Node]] = defaultdict(list)
    for node in candidates:
        groups[root(node)].append(node)
    return list(groups.values())


def _pairs(key: ForeignKey) -> list[tuple[Node, Node]]:
    return [
        ((key.table_oid, column), (key.ref_oid, ref_column))
        for column, ref_column in zip(key.columns, key.ref_columns, strict=True)
    ]


def _joined_to_strangers(evidence: Evidence) -> Iterable[tuple[Node, str]]:
    """Text columns that a foreign key joins to a column that cannot change, such as an extension's."""
    for key in evidence.foreign_keys:
        for one, other in _pairs(key):
            for mine, theirs in ((one, other), (other, one)):
                if mine in evidence.candidates and theirs not in evidence.candidates:
                    yield mine, f"foreign key {key.name} joins it to a column that cannot become uuid"


def _against(member: Candidate) -> str | None:
    """What alone forbids the conversion."""
    if member.type_sibling and not member.foreign_keys and not member.is_primary:
        return f"polymorphic: {member.type_sibling} has the name of the table that it refers to" + _counted(member)
    if member.sample.values > member.sample.uuids:
        return _are_uuids(member.sample)
    if member.refusal:
        return member.refusal + _counted(member)
    if member.default == "other":
        return f"its default {member.column.default_expr} is not a uuid" + _counted(member)
    return None


def _counted(member: Candidate) -> str:
    sample = member.sample
    return f"; {_are_uuids(sample)}" if sample.values else "; no value was found"


def _speaks_for(member: Candidate) -> bool:
    """A default that makes uuids, or values of which most are uuids beyond doubt: 32 hex digits may be any hash, and
    of hashes an eighth has by chance the digits of a version and a variant."""
    if member.default == "uuid":
        return True
    expected = member.named_as_id or member.unique or bool(member.foreign_keys)
    most = 2 * member.sample.evident > member.sample.uuids
    return most and member.sample.evident >= (1 if expected else VALUES_WITHOUT_NAME)


def _is_key(member: Candidate) -> bool:
    """Whether it names rows, or leads to a column that does. A unique token does not: it is called no id."""
    called_id = member.named_as_id or member.default == "uuid"
    return member.is_primary or bool(member.foreign_keys) or (member.unique and called_id)


def _possible(member: Candidate, tables: Iterable[LiveTable]) -> PossibleColumn:
    return PossibleColumn(
        schema=member.table.schema,
        table=member.table.name,
        column=member.column.name,
        type=member.column.type,
        to="uuid" if member.column.is_text else "uuid[]",
        reason=why_proposed(member, tables),
    )


def _worth_naming(member: Candidate) -> bool:
    return (
        member.named_as_id
        or member.unique
        or bool(member.foreign_keys)
        or member.sample.uuids > 0
        or member.default == "uuid"
        or not member.column.is_text
        or member.type_sibling is not None
    )


def _reason_left(member: Candidate, against: Mapping[Node, str], candidates: Mapping[Node, Candidate]) -> str:
    own = against.get(member.node)
    if own:
        return own
    if against:
        node, reason = next(iter(against.items()))
        return f"foreign keys or inheritance join it to {candidates[node].full_name}, which stays as it is ({reason})"
    if 2 * member.sample.evident <= member.sample.uuids and member.sample.uuids:
        return (
            f"{member.sample.uuids - member.sample.evident} of {counted(member.sample.uuids, 'sampled value', 'is')} "
            "32 hex digits without a uuid's version, as hashes are"
        )
    if member.sample.values:
        return (
            f"only {counted(member.sample.values, 'value')} in the sample, and neither name, key nor default shows "
            "that they are ids"
        )
    return "no value in the sample, and neither its default nor a foreign key shows that it holds uuids"


def _left_alone(member: Candidate, reason: str) -> LeftAlone:
    return LeftAlone(
        schema=member.table.schema,
        table=member.table.name,
        column=member.column.name,
        type=member.column.type,
        reason=reason,
    )


def _in_set_order(evidence: Evidence, accepted: Mapping[Node, Candidate]) -> tuple[ProposedTable, ...]:
    by_table: dict[int, set[str]] = defaultdict(set)
    for oid, name in accepted:
        by_table[oid].add(name)
    for oid in list(by_table):
        for member in evidence.families.get(oid, ()):
            by_table[member.oid] |= set()  # A family is rebuilt together, also where nothing of a member changes.
    tables = [table for table in evidence.tables if table.oid in by_table]
    numbers = conversion_sets(
        [table.oid for table in tables],
        evidence.foreign_keys,
        evidence.joined,
        together=[table.oid for table in tables if by_table[table.oid]],
    )
    return tuple(
        ProposedTable(
            schema=table.schema,
            name=table.name,
            set_no=numbers[table.oid],
            columns=tuple(
                ProposedColumn(
                    name=column.name,
                    type=column.type,
                    reason=why_proposed(accepted[table.oid, column.name], evidence.tables),
                )
                for column in table.columns
                if column.name in by_table[table.oid]
            ),
        )
        for table in sorted(tables, key=lambda t: numbers[t.oid])
    )


def why_proposed(member: Candidate, tables: Iterable[LiveTable]) -> str:
    """One line for people: the column's part in keys, its default, its sampled values."""
    names = {table.oid: table.full_name for table in tables}
    words: list[str] = []
    if member.is_primary:
        words.append("primary key" if member.table.key == (member.column.name,) else "part of the key")
    for key in member.foreign_keys:
        ends = dict(zip(key.columns, key.ref_columns, strict=True))
        if key.table_oid == member.table.oid and member.column.name in ends:
            words.append(f"foreign key to {names[key.ref_oid]}.{ends[member.column.name]}")
    if member.default == "uuid":
        words.append(f"default {member.column.default_expr}")
    sample = member.sample
    if sample.values:
        words.append(_are_uuids(sample))
    else:
        words.append("no value was found in the sample")
    if sample.odd:
        words.append(
            f"{sample.odd} of them are not written in PostgreSQL's form: only the past table keeps the original texts"
        )
    return "; ".join(words)


def _are_uuids(sample: Sample) -> str:
    return f"{sample.uuids} of {counted(sample.values, 'sampled value')} {verb(sample.uuids, 'is')} {_a(sample.uuids)}"


def _a(count: int) -> str:
    return "a uuid" if count == 1 else "uuids"
