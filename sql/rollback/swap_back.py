"""The swap back: new and past tables of a set are swapped again, in one transaction under one short lock.

The past tables were never taken apart: their views, functions, rules, policies, triggers and statistics lie beside
them and only move. What was taken from them at the cutover comes back: foreign keys, publications, sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from psycopg.sql import SQL, Composable, Identifier

from replank.errors import TryAgain
from replank.values.table_spec import Layout, Relation, TableSpec
from sql.access.readers import make_schema
from sql.catalogue import catalogue
from sql.catalogue.catalogue import ForeignKey
from sql.catalogue.inheritance import parents_first
from sql.catalogue.relation_oids import relation_oids
from sql.next_table.foreign_keys import add_keys
from sql.next_table.on_update_trigger import function_name
from sql.next_table.owned_sequences import carried_sequences
from sql.rollback.disabled_triggers import enable_triggers_of_past
from sql.rollback.newer_objects import refuse_newer
from sql.rollback.set_rollback import SetRollback, drain_all, drain_equal, last_drain
from sql.rollback.table_pair import TablePair
from sql.rows.capture_continuity import CaptureFacts, refuse_broken_reverse_capture
from sql.session.connection import Connection, keep_plans, rows, run, value
from sql.session.named_queries import query
from sql.session.one_snapshot import one_snapshot
from sql.session.statements import execute
from sql.session.table_names import live_table, past_table, server_text
from sql.swap.autovacuum import autovacuum_statement
from sql.swap.cutover import stamp_of
from sql.swap.event_triggers import refuse_added_by_rollback
from sql.swap.hold_clock import one_statement
from sql.swap.hold_forecast import statement_ms
from sql.swap.lock_attempt import Crossing
from sql.swap.lock_moment import Traffic
from sql.swap.moved_dependents import Hanging, away, hanging_on, home, move
from sql.swap.old_sessions import recompiled
from sql.swap.swap_script import moved
from sql.swap.swap_under_lock import CutoverLimits, CutoverTimes, Prepared, cross, drain_until_short
from sql.swap.views_beside import lock_script, view_locks
from sql.swap.write_gate import Gate


def swap_back(
    connection: Connection,
    back: SetRollback,
    limits: CutoverLimits,
    *,
    traffic: Traffic,
    capture_facts: Mapping[int, CaptureFacts],
    write_ledger: Callable[[], None],
) -> CutoverTimes:
    """Past tables become the live ones again, with every change of the new ones. Raises as `sql.swap.cutover.cut_over`.

    `capture_facts` are those of reverse capture when the comparison of both tables began: NotProved where one has
    changed since. `write_ledger` says so in the ledger, inside the same transaction.
    """
    keep_plans(connection)
    specs = [pair.spec for pair in back.pairs]
    refuse_broken_reverse_capture(connection, specs, capture_facts)
    past, new = hanging_on(connection, back.past_relations), hanging_on(connection, back.new_relations)
    _refresh(connection, back, past)
    keys = catalogue.read_foreign_keys(connection, [pair.new.oid for pair in back.pairs])
    prepared = _prepare(connection, back, past, new, keys, limits)
    stamp = stamp_of(connection, prepared)
    refuse_newer(connection, back.pairs, back.foreign_keys)

    def under_lock(crossing: Crossing) -> None:
        refuse_broken_reverse_capture(connection, specs, capture_facts)
        last_drain(connection, back, limits, crossing)
        if stamp_of(connection, prepared) != stamp:
            raise TryAgain("another session changed a definition meanwhile")
        crossing.check()
        run(connection, one_statement(prepared.swap))
        crossing.check()
        refuse_added_by_rollback(connection, back.past_relations)
        write_ledger()

    def take(second: Connection, most: int | None) -> int:
        return drain_all(second, back, most)

    return cross(
        connection,
        prepared,
        limits,
        traffic,
        shortly_before=lambda second: drain_until_short(lambda: take(second, None)),
        drain=take,
        under_lock=under_lock,
    )


def _prepare(
    connection: Connection,
    back: SetRollback,
    past: Hanging,
    new: Hanging,
    keys: Sequence[ForeignKey],
    limits: CutoverLimits,
) -> Prepared:
    for schema in sorted(new.past_schemas | {r.rolled_back_schema for r in back.new_relations}):
        execute(connection, make_schema(connection, schema))
    names = {(relation.schema, relation.name) for relation in back.new_relations}
    names |= {(key.schema, key.table_name) for key in keys} | {(key.ref_schema, key.ref_table) for key in keys}
    for document in back.foreign_keys:
        names |= {(document["schema"], document["table_name"]), (document["ref_schema"], document["ref_table"])}
    pasts = {(relation.past_schema, relation.name) for relation in back.past_relations}
    # A partition of the past layout need not be one of the new.
    present = relation_oids(connection, sorted(names | pasts))
    # The drain for which writers wait writes to the past tables.
    written = [name for name in present if name not in pasts]
    built = [past_table(heap) for pair in back.pairs for heap in pair.spec.heaps]
    return Prepared(
        gate=Gate(before=view_locks(new.views), tables=parents_first(connection, written)),
        each_ms=statement_ms(connection, built, lock_timeout_ms=limits.lock_timeout_ms),
        lock=lock_script(connection, new.views, list(present)),
        swap=swap_back_script(connection, back, past, new, keys),
        oids=[*present.values(), *(view.oid for view in new.views)],
        functions=[function.oid for function in new.functions],
    )


def swap_back_script(
    connection: Connection,
    back: SetRollback,
    past: Hanging,
    new: Hanging,
    keys: Sequence[ForeignKey],
    *,
    before_swap: bool = False,
) -> Composable:
    """New to undone, past to live, and what was taken from the past tables. `before_swap` composes it beforehand."""
    members = {pair.new.oid for pair in back.pairs}
    made: list[Composable] = [
        SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(Identifier(key.schema, key.table_name), Identifier(key.name))
        for key in keys
        if key.table_oid not in members or key.ref_oid not in members
    ]
    for relation in back.new_relations:
        found = rows(connection, query("dependents.publications"), {"oid": relation.oid})
        made += [server_text(publication["taken_out"]) for publication in found]
    after: list[Composable] = []
    for pair in back.pairs:
        root = Relation(oid=pair.new.oid, schema=pair.spec.schema, name=pair.spec.name)
        detached, attached = carried_sequences(
            connection,
            root,
            built_in=pair.spec.past_schema,
            gone_to=pair.spec.rolled_back_schema,
            named_alike=before_swap,
        )
        made += [*detached, *_on_update_away(pair)]
        after += attached
        after += [
            autovacuum_statement(live_table(heap), back.autovacuum_before.get(str(heap.oid)))
            for heap in pair.spec.heaps
        ]
    made += [move(each, away(each.schema)) for each in new.functions]
    made += [move(each, home(each.schema)) for each in past.functions]
    made += [moved(live_table(relation), relation.rolled_back_schema) for relation in back.new_relations]
    made += [moved(past_table(relation), relation.schema) for relation in back.past_relations]
    made += [move(each, away(each.schema)) for each in new.views]
    made += [move(each, home(each.schema)) for each in past.views]
    made += [move(each, away(each.schema)) for each in new.statistics]
    made += [move(each, home(each.schema)) for each in past.statistics]
    made += after
    made += enable_triggers_of_past(back.disabled_triggers)
    made += [server_text(statement) for statement in back.published]
    names = [relation.name for relation in back.past_relations] + [view.name for view in past.views]
    leaving = {function.oid for function in (*new.functions, *past.functions)}
    made += recompiled(connection, names, without=leaving | _on_update_oids(connection, back))
    made += add_keys(connection, back.foreign_keys, [_with_leaves(pair.spec) for pair in back.pairs])
    return SQL(";\n").join(made)


def _on_update_away(pair: TablePair) -> list[Composable]:
    if not any(column.on_update for column in pair.spec.columns):
        return []
    function = Identifier(pair.spec.schema, function_name(pair.spec))
    return [SQL("ALTER FUNCTION {}() SET SCHEMA {}").format(function, Identifier(pair.spec.rolled_back_schema))]


def _on_update_oids(connection: Connection, back: SetRollback) -> set[int]:
    """Functions that leave with the new tables, so no session compiles them again."""
    names = [Identifier(p.spec.schema, function_name(p.spec)).as_string(connection) for p in back.pairs]
    found = [value(connection, SQL("SELECT to_regproc({})::oid::bigint").format(name)) for name in names]
    return {oid for oid in found if oid is not None}


def _with_leaves(spec: TableSpec) -> TableSpec:
    """So that foreign keys are added for the leaves that will be there, not for those that are there now."""
    leaves = tuple(p for p in spec.partitions if not p.partitioned_by)
    return replace(spec, layout=Layout(partitioned_by=spec.partitioned_by, column="", partitions=leaves))


def _refresh(connection: Connection, back: SetRollback, past: Hanging) -> None:
    """Materialized views hold the rows of one moment, at which all tables are drained."""
    if not any(view.materialized and view.populated for view in past.views):
        return
    with one_snapshot(connection):
        for pair in back.pairs:
            drain_equal(connection, pair)
        for view in past.views:
            if view.materialized and view.populated:
                run(connection, SQL("REFRESH MATERIALIZED VIEW {}").format(live_table(view)))
