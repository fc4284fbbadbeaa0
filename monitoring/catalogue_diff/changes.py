"""Every difference between the beginning of a run and now, each with its reason in the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.catalogue_diff.reasons import explain, explain_orphans, owner_of, split
from replank.values.table_spec import TableSpec
from sql.catalogue.catalogue_snapshot import CatalogueObject, read_objects, subjects
from sql.ledger.runs.catalogue_before import read_catalogue_before
from sql.ledger.runs.runs import Run
from sql.ledger.tables import conversion_sets, tables
from sql.session.connection import Connection

NOT_ASKED = "nothing in the plan asks for it"


@dataclass(frozen=True, kw_only=True)
class CatalogueChange:
    """An object that is new, gone (`after` is None) or another; `reason` is empty where no plan asked for it.

    `table` is the table that the relation is a partition of; the relation itself where it is none.
    """

    relation: str
    table: str
    what: str
    name: str
    before: str | None
    after: str | None
    reason: str

    @property
    def explained(self) -> bool:
        return self.reason != ""

    @property
    def object(self) -> str:
        """What it is, of which relation, and its name there."""
        return " ".join(filter(None, (self.what, self.relation, self.name)))

    def to_json(self) -> dict[str, Any]:
        return {
            "object": self.object,
            "before": self.before,
            "after": self.after,
            "reason": self.reason or NOT_ASKED,
        }


def catalogue_changes(connection: Connection, run: Run) -> list[CatalogueChange]:
    """Every difference between the beginning of a run and now, over its relations and their views."""
    specs = [table.spec for table in tables.read_tables(connection, run.run_id)]
    before = {found.identity: found for found in read_catalogue_before(connection, run.run_id)}
    names = {split(relation) for relation, what, _ in before if what == "table"}
    after = {found.identity: found for found in read_objects(connection, names | subjects(connection, specs))}
    present = list(after.values())
    orphans = {
        (key["schema"], key["table_name"], key["name"]): int(key["orphans"])
        for one in conversion_sets.read_sets(connection, run.run_id)
        for key in one.foreign_keys
        if key.get("orphans")
    }
    return [
        _change(specs, before.get(identity), after.get(identity), present, orphans)
        for identity in sorted(before.keys() | after.keys())
        if before.get(identity) != after.get(identity)
    ]


def _change(
    specs: Sequence[TableSpec],
    before: CatalogueObject | None,
    after: CatalogueObject | None,
    present: Sequence[CatalogueObject],
    orphans: Mapping[tuple[str, str, str], int],
) -> CatalogueChange:
    there = before or after
    assert there is not None
    was, became = (None if found is None else found.definition for found in (before, after))
    spec = owner_of(specs, there.relation)
    return CatalogueChange(
        relation=there.relation,
        table=there.relation if spec is None else _whole(spec, there.relation),
        what=there.what,
        name=there.name,
        before=was,
        after=became,
        reason=explain_orphans(there, was, became, orphans) or explain(specs, spec, there, was, became, present),
    )


def _whole(spec: TableSpec, relation: str) -> str:
    return relation if split(relation) == (spec.schema, spec.name) else spec.full_name
