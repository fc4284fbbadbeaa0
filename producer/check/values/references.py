"""Orphans: rows whose foreign key leads nowhere, behind keys that are valid too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg import errors

from producer.check.findings import Finding, blocker, warning
from producer.planning.prepared_run import PreparedRun
from producer.planning.repartition import lost_keys
from replank.errors import TryAgain
from replank.values.table_spec import ColumnSpec
from replank.wording import counted
from sql.catalogue.catalogue import ForeignKey
from sql.checks.orphans import Suspect, count_orphans, example_orphans, orphans_query
from sql.next_table.foreign_keys import NOT_VALID_ON_PARTITIONED
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.server_message import without_rows

UNREADABLE = (errors.InsufficientPrivilege, errors.DataError, errors.InternalError, errors.UndefinedTable)
"""What keeps a table from being counted: rights, row security, an operator that fails, damaged pages, DDL meanwhile."""
CONSENT = "orphans"


@dataclass(frozen=True, kw_only=True)
class Orphans:
    """What was found of one key. `binding`: the catalogue calls it valid and enforced, so the run would prove it."""

    key: ForeignKey
    count: int
    finding: Finding
    binding: bool


def audit_orphans(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """Count the rows without a parent of every foreign key from or to a planned table."""
    return [each.finding if isinstance(each, Orphans) else each for each in _count_orphans(connection, audited)]


def keys_with_orphans(connection: Connection, audited: PreparedRun) -> tuple[list[Finding], tuple[ForeignKey, ...]]:
    """What is in the way of a run, and its foreign keys: those that come back NOT VALID by consent say so."""
    kept: dict[int, ForeignKey] = {}
    found: list[Finding] = []
    for each in _count_orphans(connection, audited):
        if isinstance(each, Finding):
            found.append(each)
            continue
        found.append(each.finding)
        if each.binding and not each.finding.blocks:
            definition = f"{each.key.definition} NOT VALID"
            kept[each.key.oid] = replace(each.key, validated=False, definition=definition, orphans=each.count)
    return found, tuple(kept.get(key.oid, key) for key in audited.foreign_keys)


def _count_orphans(connection: Connection, audited: PreparedRun) -> Iterator[Orphans | Finding]:
    """One pass over each referring relation, for all of its keys."""
    states = {r["oid"]: r for r in rows(connection, query("audit.key_states"), {"oids": _oids(audited.foreign_keys)})}
    by_relation: dict[tuple[str, str], list[ForeignKey]] = defaultdict(list)
    for key in _concerned(audited):
        if key.oid in states:
            by_relation[key.schema, key.table_name].append(key)
    for keys in by_relation.values():
        known = [key for key in keys if {key.table_oid, key.ref_oid} <= audited.readable_oids]
        yield from (_unknown(key, "the rows of one of the tables cannot be read") for key in keys if key not in known)
        if known:
            yield from _of_relation(connection, audited, known, states)


def _concerned(audited: PreparedRun) -> Iterator[ForeignKey]:
    """Not those that go with the swap, nor those between tables that stay in their places."""
    rebuilt = {subject.live.oid for subject in audited.subjects if subject.spec.method == "rebuild"}
    lost = {each.key.oid for each in lost_keys([s.spec for s in audited.subjects], audited.foreign_keys)}
    for key in audited.foreign_keys:
        if key.oid not in lost and {key.table_oid, key.ref_oid} & rebuilt:
            yield key


def _of_relation(
    connection: Connection, audited: PreparedRun, keys: Sequence[ForeignKey], states: Mapping[int, Mapping[str, bool]]
) -> Iterator[Orphans | Finding]:
    suspects = [_suspect(connection, audited, key) for key in keys]
    name = _name(keys[0])
    try:
        for suspect, count in zip(suspects, count_orphans(connection, suspects), strict=True):
            if count:
                yield _orphans(connection, audited, suspect, states[suspect.key.oid], count)
    except errors.LockNotAvailable:
        raise TryAgain(
            f"{name} is locked by another session. Run the command again when that session has ended."
        ) from None
    except UNREADABLE as error:
        yield from (_unknown(key, without_rows(error)) for key in keys)


def _suspect(connection: Connection, audited: PreparedRun, key: ForeignKey) -> Suspect:
    dropped: dict[str, ColumnSpec] = {
        column.name: column
        for subject in audited.subjects
        if subject.live.oid == key.table_oid
        for column in subject.converted
        if column.name in key.columns and column.on_invalid in ("null", "quarantine")
    }
    return Suspect(key=key, dropped=dropped, version=connection.info.server_version)


def _orphans(
    connection: Connection, audited: PreparedRun, suspect: Suspect, state: Mapping[str, bool], count: int
) -> Orphans:
    key, examples = suspect.key, example_orphans(connection, suspect)
    binding = state["validated"] and not state["not_enforced"]
    statement = orphans_query(connection, suspect)
    said = (
        f"{counted(count, 'row', 'has')} no parent in {key.ref_schema}.{key.ref_table} (foreign "
        f"key {key.name}), such as {'; '.join(examples)}"
    )
    make, words, hint = warning, "", f"The run loses nothing. {statement} lists them."
    if not binding:
        words = f"the key is {'NOT ENFORCED' if state['not_enforced'] else 'NOT VALID'} and stays so"
    elif audited.file.plan.options.keeps_orphans and not _must_hold(connection, key):
        words = f'the key is created again as NOT VALID (consent = ["{CONSENT}"]): it checks new rows, and these stay'
    else:
        make = blocker
        words = (
            "the catalogue calls the key valid, so they were written while its triggers were disabled; validating "
            "it again after the swap would fail"
        )
        hint = f"{statement} lists them: correct or delete them{_or_keep(connection, key)}"
        if state["switched_off"]:
            hint += (
                f" Its triggers are still disabled: run ALTER TABLE {_name(key)} and {_parent(key)} ENABLE TRIGGER ALL."
            )
    finding = make(
        "orphans",
        f"{said}; {words}",
        hint=hint,
        table=_name(key),
        column=key.columns[0],
        count=count,
        foreign_key=key.name,
        examples=examples,
        sql=statement,
    )
    return Orphans(key=key, count=count, finding=finding, binding=binding)


def _must_hold(connection: Connection, key: ForeignKey) -> bool:
    """Before version 18 a partitioned table has no foreign key that is NOT VALID."""
    return key.partitioned and connection.info.server_version < NOT_VALID_ON_PARTITIONED


def _or_keep(connection: Connection, key: ForeignKey) -> str:
    if _must_hold(connection, key):
        return ". (They cannot stay: before version 18 a partitioned table cannot have a NOT VALID foreign key.)"
    return (
        f'; or set consent = ["{CONSENT}"] in [options]: then no row is changed, and the key is created again as NOT '
        "VALID, which checks new rows only."
    )


def _unknown(key: ForeignKey, why: str) -> Finding:
    return warning(
        "orphans_unknown",
        f"whether rows lack a parent in {_parent(key)} (foreign key {key.name}) could not be checked: {why}",
        hint="Grant SELECT on both tables and run `replank check` again. If such rows exist, the run stops when it "
        "validates the key, after the swap.",
        table=_name(key),
        column=key.columns[0],
        foreign_key=key.name,
    )


def _oids(keys: Sequence[ForeignKey]) -> list[int]:
    return [key.oid for key in keys]


def _name(key: ForeignKey) -> str:
    return f"{key.schema}.{key.table_name}"


def _parent(key: ForeignKey) -> str:
    return f"{key.ref_schema}.{key.ref_table}"
