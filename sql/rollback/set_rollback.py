"""A set that is rolled back: what is known of it, the last drain of its past tables, rows without a parent there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composable

from replank.errors import NeedsOperator
from replank.values.reference import equality_from_json
from replank.values.table_spec import Relation
from replank.wording import counted
from sql.next_table.foreign_keys import without_parent
from sql.rollback.reverse_drain import reverse_drain
from sql.rollback.table_pair import TablePair
from sql.rows.reverse_capture import reverse_log
from sql.session.connection import Connection, value
from sql.session.one_snapshot import one_snapshot
from sql.session.table_names import past_table
from sql.swap.cutover import refuse_long_logs, rows_logged
from sql.swap.lock_attempt import Crossing
from sql.swap.swap_under_lock import CutoverLimits


@dataclass(frozen=True, kw_only=True)
class SetRollback:
    """A swapped set that is rolled back. `foreign_keys` are the documents of its beginning, none of them given up."""

    pairs: tuple[TablePair, ...]
    foreign_keys: Sequence[Mapping[str, Any]]
    published: Sequence[str]
    disabled_triggers: Sequence[Mapping[str, str]]
    autovacuum_before: Mapping[str, str | None]
    autovacuum_of_new: Mapping[str, str | None] | None
    """What the new tables had before an attempt switched it off; None while none has."""

    @property
    def new_relations(self) -> list[Relation]:
        return [relation for pair in self.pairs for relation in pair.new.relations]

    @property
    def past_relations(self) -> list[Relation]:
        return [relation for pair in self.pairs for relation in pair.spec.relations]


def drain_all(connection: Connection, back: SetRollback, most: int | None) -> int:
    """One pass over all logs, each in a transaction of its own. Returns the log rows.

    Raises TryAgain where there are more than `most`: writers wait meanwhile.
    """
    if most is not None:
        refuse_long_logs(_logged(connection, back), most)
    drained = 0
    for pair in back.pairs:
        with one_snapshot(connection):
            drained += drain_equal(connection, pair)
    return drained


def _logged(connection: Connection, back: SetRollback) -> dict[int, int]:
    return rows_logged(connection, {pair.spec.table_no: reverse_log(pair.spec) for pair in back.pairs})


def last_drain(connection: Connection, back: SetRollback, limits: CutoverLimits, crossing: Crossing) -> None:
    waiting = _logged(connection, back)
    refuse_long_logs(waiting, limits.max_log_rows)
    for pair in back.pairs:
        if pair.spec.table_no in waiting:
            crossing.check()
            drain_equal(connection, pair)


def drain_equal(connection: Connection, pair: TablePair) -> int:
    """Drain, and refuse if a drained row differs afterwards. Returns the number of log rows."""
    done = reverse_drain(connection, pair)
    if done.mismatches:
        raise NeedsOperator(
            f"{pair.spec.full_name}: {counted(done.mismatches, 'row', 'differs')} after the reverse drain. "
            "Nothing was swapped. Please report this with `replank status --json`."
        )
    return done.keys


def count_orphans(connection: Connection, back: SetRollback, key: Mapping[str, Any]) -> int:
    """Rows of the past table that its foreign key would not let in; 0 where the key leads out of the set."""
    counted = counted_orphans(back, key)
    return 0 if counted is None else int(value(connection, counted))


def counted_orphans(back: SetRollback, key: Mapping[str, Any]) -> Composable | None:
    """The query of `count_orphans`; None where the key leads out of the set."""
    # A foreign key means the rows of the table itself, and of its partitions.
    heaps = {heap.oid for pair in back.pairs for heap in pair.spec.heaps}
    past = {
        (relation.schema, relation.name): SQL("{}{}").format(
            SQL("ONLY " if relation.oid in heaps else ""), past_table(relation)
        )
        for relation in back.past_relations
    }
    child = past.get((key["schema"], key["table_name"]))
    parent = past.get((key["ref_schema"], key["ref_table"]))
    if child is None or parent is None:
        return None
    orphans = without_parent(
        key["columns"],
        key["ref_columns"],
        equality_from_json(key["equality"]),
        child=child,
        parent=parent,
        period=key["period"],
        full=key.get("full", False),
    )
    return SQL("SELECT count(*) {}").format(orphans)
