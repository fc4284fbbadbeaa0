"""Whether live tables still are what the run was planned for.

What the next table is made of is read from the live one at several moments: at its beginning, when indexes are built,
under the cutover's lock. A change that is made before one of these and undone before the next would be carried over,
and not noticed. So the definition is compared at each of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from replank.errors import NeedsOperator
from replank.values.table_spec import TableSpec
from sql.catalogue import fingerprints
from sql.session.connection import Connection, apply_settings, keep_plans

WHAT_NOW = "undo it and `replank retry`, or `replank rollback` and run again."


def refuse_changed_shapes(connection: Connection, specs: Sequence[TableSpec], *, built: bool = True) -> None:
    """Raises NeedsOperator where a live table's definition is not what was planned. `built`: a next table is there."""
    with connection.transaction():
        # Planning these queries costs ten times what they cost; their plans do not depend on the table. The caller may
        # have read indexes before, under a search_path by which the server spells names otherwise than when planned.
        wanted = {"plan_cache_mode": "force_generic_plan", "search_path": "pg_catalog"}
        apply_settings(connection, wanted, local=True)
        # It is asked at each stage and under the cutover's lock, so a session plans it once.
        keep_plans(connection)
        found = fingerprints.shapes(connection, [spec.oid for spec in specs])
    for spec, present in zip(specs, found, strict=True):
        if present != spec.shape:
            what = fingerprints.changed(spec.shape, present)
            when = "during the run" if built else "since the run was planned, and before it began with this table"
            has = "The next table does not have the change" if built else "The run knows nothing of the change"
            raise NeedsOperator(f"{spec.full_name}: its definition was changed {when} ({what}). {has}: {WHAT_NOW}")
