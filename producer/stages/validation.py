"""Foreign keys of tables that were swapped: they are validated, and capture is removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from producer.stages.context import StageContext
from replank.values.states import JobKind, TableState
from sql.ledger.jobs import job_queue
from sql.ledger.tables import tables
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.next_table import foreign_keys
from sql.rows import capture
from sql.session.connection import apply_settings
from sql.session.statements import execute


@dataclass(frozen=True, kw_only=True)
class Validating(StageContext):
    """Validates the keys of one table after the other."""

    present: Sequence[RunTable]
    """All tables of the run."""
    sets: Sequence[ConversionSet]

    def start(self, table: RunTable) -> bool:
        """One job for each foreign key of this table, or for each leaf that had to get it first."""
        with self.connection.transaction():
            job_queue.add_jobs(
                self.connection,
                table.spec,
                JobKind.VALIDATE,
                step=self.step,
                generation=table.generation,
                details=[
                    detail
                    for key in self._own_keys(table)
                    if key["validated"]
                    for detail in foreign_keys.to_validate(self.connection, key)
                ],
            )
            tables.move_table(self.connection, table.spec, TableState.VALIDATING)
        return True

    def _own_keys(self, table: RunTable) -> list[Mapping[str, Any]]:
        """The foreign keys of the set that are this table's to see to; one from outside belongs to its target."""
        conversion_set = next(s for s in self.sets if s.set_no == table.set_no)
        members = {
            (relation.schema, relation.name): t.table_no
            for t in self.present
            if t.set_no == table.set_no
            for relation in t.spec.relations
        }
        keys = (key for key in conversion_set.foreign_keys if not key.get("lost"))
        return [key for key in keys if table.table_no == _owner(key, members)]

    def finish(self, table: RunTable) -> bool:
        with self.connection.transaction():
            apply_settings(self.connection, {"lock_timeout": f"{self.options.lock_timeout_ms}ms"}, local=True)
            for key in self._own_keys(table):
                foreign_keys.join_leaves(self.connection, key)
            execute(self.connection, capture.remove(table.spec))
            tables.move_table(self.connection, table.spec, TableState.DONE)
        return True


def _owner(key: Mapping[str, Any], members: Mapping[tuple[str, str], int]) -> int:
    """The number of the set's table whose validation a foreign key belongs to. `members` holds partitions too."""
    source = members.get((key["schema"], key["table_name"]))
    return members[key["ref_schema"], key["ref_table"]] if source is None else source
