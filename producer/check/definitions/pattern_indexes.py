"""Indexes for LIKE over columns that become uuid: all of them at once, and the consent that lets them go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from producer.check.findings import Finding, blocker, warning
from producer.planning.prepared_run import PreparedRun
from replank.wording import counted
from sql.next_table.pattern_indexes import PatternIndex, read_pattern_indexes
from sql.session.connection import Connection

CODE = "pattern_indexes"
CONSENT = "pattern_indexes"
NAMED = 5
"""How many are named in the sentence; the details have all."""


def audit_pattern_indexes(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """One blocker for all of them, or one warning where the plan consents."""
    found = [index for subject in audited.subjects for index in read_pattern_indexes(connection, subject.spec)]
    if not found:
        return []
    # Partitions' parts share the fate of their parent's index: the parent's index is enough to name.
    parents = {subject.live.oid for subject in audited.subjects}
    named = [index for index in found if index.relation.oid in parents] or found
    if audited.file.plan.options.gives_up_patterns:
        return [
            warning(
                CODE,
                f"{_indexes(len(named))} for LIKE over columns whose type changes: {_fate(named)} ({_names(named)})"
                + _used(found),
                hint="A rollback restores all of them. Afterwards no index serves searches for prefixes of ids "
                f"(`id::text LIKE 'a1%'`).{_prisma(audited)}",
                indexes=_details(found),
            )
        ]
    return [
        blocker(
            CODE,
            f"{_indexes(len(named))} for LIKE (varchar_pattern_ops, text_pattern_ops) over columns whose type changes: "
            f"the new type has no such operator class ({_names(named)})" + _used(found),
            hint=f'Set consent = ["{CONSENT}"] in [options]: {_fate(named)}, and a rollback restores all of them.'
            + _prisma(audited),
            indexes=_details(found),
        )
    ]


def _prisma(audited: PreparedRun) -> str:
    """What users of a schema file have to change themselves."""
    if audited.file.plan.prisma is None:
        return ""
    return " `replank prisma` leaves `@@index(…, ops: …)` of such an index as it is: change it in the schema file."


def _indexes(count: int) -> str:
    return counted(count, "index")


def _fate(found: Sequence[PatternIndex]) -> str:
    going = sum(index.goes for index in found)
    plain = len(found) - going
    words = []
    if going:
        words.append(f"{going:,} {'is' if going == 1 else 'are'} dropped with the swap, because another index serves")
    if plain:
        words.append(f"{plain:,} {'becomes a plain index' if plain == 1 else 'become plain indexes'}")
    return ", ".join(words)


def _names(found: Sequence[PatternIndex]) -> str:
    some = ", ".join(
        f"{i.relation.schema}.{i.name} on {i.relation.name} ({', '.join(i.columns)})" for i in found[:NAMED]
    )
    return some + (f" and {len(found) - NAMED:,} more" if len(found) > NAMED else "")


def _used(found: Sequence[PatternIndex]) -> str:
    """What the server's counters say against it."""
    used = sum(index.scans > 0 for index in found)
    if not used:
        return ""
    scans = sum(index.scans for index in found)
    return (
        f"; {used:,} of them {'was' if used == 1 else 'were'} used {scans:,} times since the statistics were last reset"
    )


def _details(found: Sequence[PatternIndex]) -> list[dict[str, Any]]:
    return [
        {
            "table": index.relation.full_name,
            "index": index.name,
            "columns": list(index.columns),
            "becomes": None if index.goes else "plain",
            "served_by": index.served_by or None,
            "scans": index.scans,
        }
        for index in found
    ]
