"""What `run` itself refuses, with or without an earlier `check`: all that no job would find in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from producer.check.check import examine
from producer.check.definitions.foreign_code import audit_foreign_code
from producer.check.definitions.storage import audit_storage
from producer.check.findings import Finding, by_risk
from producer.check.values.dangling import audit_dangling, needs_count
from producer.check.values.references import keys_with_orphans
from producer.planning.foreign_code import ForeignCodeRefused
from producer.planning.prepared_run import PreparedRun, prepare_run
from producer.planning.resolution import PlanFile
from replank.activity import doing
from replank.errors import NeedsOperator
from sql.session.connection import Connection


def prepare_or_refuse(connection: Connection, file: PlanFile, *, scripts_have_run: bool = False) -> PreparedRun:
    """A plan that a run may begin with, or continue with when its scripts have run. Nothing is written.

    Raises NeedsOperator with every blocker. The values need no look here: a bad one stops its own job. But a valid
    foreign key that has rows without a parent would fail only after the swap, so these are counted: one pass over
    every relation that refers to a table of the plan, or is one of them and refers to another. By the plan's consent
    such a key comes back NOT VALID: it is so in what is returned.
    """
    prepared = _prepare(connection, file, scripts_have_run=scripts_have_run)
    _refuse(examine(connection, prepared).findings)
    found, keys = keys_with_orphans(connection, prepared)
    _refuse(found)
    return replace(prepared, foreign_keys=keys)


def refuse_dangling(connection: Connection, prepared: PreparedRun) -> None:
    """Raises NeedsOperator where ids change and references to them stay: no job of the run would ever notice.

    Reads rows, and only where some may lead nowhere.
    """
    if needs_count(prepared):
        doing("counting references without a parent row")
        _refuse(audit_dangling(connection, prepared))


def refuse_stores(connection: Connection, file: PlanFile) -> None:
    """Raises where a name of the plan is no table, or a table that is not stored as a heap of this server's."""
    _refuse(audit_storage(connection, _prepare(connection, file)))


def _prepare(connection: Connection, file: PlanFile, *, scripts_have_run: bool = False) -> PreparedRun:
    try:
        return prepare_run(connection, file, scripts_have_run=scripts_have_run)
    except ForeignCodeRefused as refused:
        _refuse(audit_foreign_code(refused.code, trusted=False))
        raise


def _refuse(found: Iterable[Finding]) -> None:
    blockers = [finding for finding in by_risk(found) if finding.blocks]
    if blockers:
        lines = [f"  {finding.code} {finding.words}" for finding in blockers]
        raise NeedsOperator("The run was not started, and nothing was changed:\n" + "\n".join(lines))
