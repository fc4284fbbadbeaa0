"""What `run` itself refuses, whether or not anybody called `check`: all that no job would notice in time."""

from __future__ import annotations

from dataclasses import replace

from producer.check.check import dangling_findings, proved_keys, stored_elsewhere, structural_findings
from producer.check.findings import Finding, by_risk
from producer.planning.pending_names import named_now
from producer.planning.resolution import PlanFile, Resolved, resolve
from replank.errors import NeedsPerson
from sql.session.connection import Connection


def refuse_blockers(connection: Connection, file: PlanFile, resolved: Resolved) -> None:
    """Raises NeedsPerson with every blocker. The values need no look here: a bad one stops its own job."""
    _refuse(structural_findings(connection, file, resolved))


def refuse_dangling(connection: Connection, file: PlanFile, resolved: Resolved) -> None:
    """Raises NeedsPerson where ids change and references to them stay: no job of the run would ever notice."""
    _refuse(dangling_findings(connection, file, resolved))


def refuse_orphans(connection: Connection, file: PlanFile, resolved: Resolved) -> Resolved:
    """Raises NeedsPerson where a valid foreign key has rows without a parent: it would fail only after the swap.

    By the plan's consent such a key comes back NOT VALID: it is so in what is returned. One pass over every relation
    that refers to a table of the plan, or is one of them and refers to another.
    """
    found, keys = proved_keys(connection, file, resolved)
    _refuse(found)
    return replace(resolved, foreign_keys=keys)


def refuse_stores(connection: Connection, file: PlanFile) -> None:
    """Raises where a name of the plan is no table, or a table that is not stored as a heap of this server's."""
    now = named_now(connection, file).file
    _refuse(stored_elsewhere(connection, now, resolve(connection, now)))


def _refuse(found: list[Finding]) -> None:
    blockers = [finding for finding in by_risk(found) if finding.blocks]
    if blockers:
        lines = [f"  {finding.code} {finding.words}" for finding in blockers]
        raise NeedsPerson("The run did not begin and nothing was changed:\n" + "\n".join(lines))
