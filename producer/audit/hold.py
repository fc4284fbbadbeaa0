"""How long each set's swap will hold its locks, by what a statement of the trial takes, event triggers included."""

from __future__ import annotations

from collections.abc import Iterator

from producer.audit.attempt import LOCK_TIMEOUT_MS
from producer.audit.findings import Audited, Finding, warning
from producer.sets import planned_sets
from replank.table_spec import TableSpec
from sql.connection import Connection
from sql.hold_forecast import statement_ms, too_long
from sql.next_table import next_table


def audit_hold(connection: Connection, audited: Audited) -> Iterator[Finding]:
    """Asked while the trial's next tables stand."""
    specs = [subject.spec for subject in audited.subjects if subject.spec.method == "rebuild"]
    heaps = [next_table(heap) for spec in specs for heap in spec.next_heaps]
    each_ms = statement_ms(connection, heaps, lock_timeout_ms=LOCK_TIMEOUT_MS)
    for members, keys in planned_sets(connection, specs, audited.foreign_keys).values():
        words = too_long(_statements(members, len(keys)), each_ms, audited.file.plan.options.cutover_hold_budget_ms)
        if words:
            names = ", ".join(spec.full_name for spec in members[:5])
            yield warning(
                "hold_forecast",
                f"{len(members)} tables that change places together ({names}): {words}",
                hint="As it stands, `run` copies everything and then asks for no lock.",
                tables=[spec.full_name for spec in members],
                each_ms=round(each_ms, 2),
            )


def _statements(members: tuple[TableSpec, ...], keys: int) -> int:
    """About: away and in for each relation, autovacuum for both heaps, capture, and each key is dropped and added."""
    relations = sum(len(spec.relations) + len(spec.next_relations) for spec in members)
    heaps = sum(len(spec.heaps) + len(spec.next_heaps) for spec in members)
    return relations + heaps + len(members) + 2 * keys
