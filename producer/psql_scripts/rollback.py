"""The rollback by psql: from wherever the pass was left, until what was kept for it is dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from psycopg.sql import SQL, Composable, Identifier

from producer.psql_scripts import capture_checks
from producer.psql_scripts.pass_tables import SwapSet, Work, label
from producer.psql_scripts.reverse_drain import drained_at_once
from producer.psql_scripts.swap import proved_key
from producer.psql_scripts.swap_back import swapped_back
from replank.values.table_spec import TableSpec
from sql.next_table import foreign_keys
from sql.next_table.on_update_trigger import drop_on_update, function_name
from sql.rollback.disabled_triggers import disable_statements
from sql.rollback.original_texts import build_original_texts, original_texts_table, places
from sql.rollback.reverse_verification import not_in_log, summed
from sql.rollback.set_rollback import SetRollback, counted_orphans
from sql.rollback.table_pair import TablePair, create_was, was_table
from sql.rows import capture
from sql.rows.reverse_capture import published, remove_capture
from sql.scripts.psql_script import (
    at_one_snapshot,
    dropped_if_empty,
    lines,
    lock_patiently,
    refuse_count,
    refuse_unequal,
    transaction,
)
from sql.scripts.script_templates import Block
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.statements import printed
from sql.session.table_names import next_table, past_table
from sql.swap.autovacuum import autovacuum_settings
from sql.swap.moved_dependents import away
from sql.values.conversion import ComparedBy


def set_back(connection: Connection, one: SwapSet) -> SetRollback:
    """The set as it will be after its swap, known before it."""
    where = places(one.members, one.foreign_keys)
    return SetRollback(
        pairs=tuple(
            TablePair(
                spec=spec,
                new=_as_new(spec),
                places={name: place for (number, name), place in where.items() if number == spec.table_no},
                original_texts=original_texts_table(spec.run_id, one.set_no),
            )
            for spec in one.members
        ),
        foreign_keys=[{name: said_ for name, said_ in key.items() if name != "lost"} for key in one.foreign_keys],
        published=published(connection, one.members),
        disabled_triggers=_firing_triggers(connection, one),
        autovacuum_before=autovacuum_settings(connection, one.members),
        autovacuum_of_new=None,
    )


def _as_new(spec: TableSpec) -> TableSpec:
    """The table in the live one's place after the swap. Its oid is the live one's: the same objects depend on it."""
    if spec.layout is None:
        return spec
    parts = tuple(replace(partition, oid=0) for partition in spec.layout.partitions)
    return replace(spec, partitioned_by=spec.layout.partitioned_by, partitions=parts, layout=None)


def _firing_triggers(connection: Connection, one: SwapSet) -> list[dict[str, str]]:
    """What fires on the tables, by the places it will have in the past."""
    found = rows(
        connection,
        query("swap_back.firing_triggers"),
        {"oids": [r.oid for spec in one.members for r in spec.relations]},
    )
    past = {relation.schema: relation.past_schema for spec in one.members for relation in spec.relations}
    return [{**each, "schema": past[each["schema"]]} for each in found]


def returned(connection: Connection, work: Work, one: SwapSet) -> Iterator[Block]:
    """From after the swap: everything that was written since comes along. Nothing of it is executed here."""
    back = set_back(connection, one)
    yield _laid_open(work, one, back)
    where = places(one.members, back.foreign_keys)
    made = printed(build_original_texts(connection, one.members, where, set_no=one.set_no))
    name = original_texts_table(0, one.set_no)
    gone = SQL("DROP TABLE IF EXISTS {}").format(name)
    yield Block(
        purpose=f"set {one.set_no}: every text that is not the canonical one of its uuid", sql=lines([gone, *made])
    )
    for pair in back.pairs:
        drained = at_one_snapshot(*drained_at_once(connection, [pair]))
        yield label(pair.spec, "changes since the swap are drained into the past table", drained)
        yield _verified(connection, pair)
    yield from _orphans(connection, back, one)
    yield from _refreshed(connection, back, one)
    yield swapped_back(connection, work, one, back)


def tidied(connection: Connection, work: Work, one: SwapSet) -> Iterator[Block]:
    """When the past tables are live again; a script that was ended before continues here."""
    back = set_back(connection, one)
    yield Block(purpose=f"set {one.set_no}: foreign keys are validated", sql=_validated(connection, work, back))
    purpose = f"set {one.set_no}: the new tables and reverse capture are dropped"
    yield Block(purpose=purpose, sql=_gone(one, back))


def _laid_open(work: Work, one: SwapSet, back: SetRollback) -> Block:
    """Nothing of the past tables may act on what is written into them."""
    made = [each for pair in back.pairs for each in printed([*capture.remove(pair.spec), create_was(pair)])]
    past = {(r.schema, r.name): past_table(r) for r in back.past_relations}
    dropped = [
        SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(table, Identifier(key["name"]))
        for key in back.foreign_keys
        if (table := past.get((key["schema"], key["table_name"]))) is not None
    ]
    off = disable_statements(back.disabled_triggers)
    lock = SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(SQL(", ").join(past.values()))
    patient = lock_patiently(lock, attempts=work.options.capture_attempts)
    body = transaction(patient, lines([*made, *dropped, *off]))
    return Block(
        purpose=f"set {one.set_no}: triggers of the past tables are disabled, and their foreign keys dropped", sql=body
    )


def _verified(connection: Connection, pair: TablePair) -> Block:
    left, version = not_in_log(connection, pair), connection.info.server_version
    past, new = (summed(pair, ComparedBy.VALUES, side, left, version) for side in ("past", "new"))
    words = f"{pair.spec.full_name}: past and new table differ: "
    compared = [capture_checks.record_standing(connection, pair.spec, "back"), refuse_unequal(past, new, words)]
    body = f"{capture_checks.KEPT}\n{at_one_snapshot(*compared)}"
    return label(pair.spec, "past and new table are equal", body)


def _orphans(connection: Connection, back: SetRollback, one: SwapSet) -> Iterator[Block]:
    """At one moment of all tables: a child that is drained later than its parent would have none."""
    counted = {key["name"]: counted_orphans(back, key) for key in back.foreign_keys if key["validated"]}
    checks = [
        refuse_count(found, f" rows would break foreign key {name} of the past tables")
        for name, found in counted.items()
        if found is not None
    ]
    if checks:
        body = at_one_snapshot(*drained_at_once(connection, back.pairs), *checks)
        yield Block(purpose=f"set {one.set_no}: check the foreign keys among the past tables", sql=body)


def _refreshed(connection: Connection, back: SetRollback, one: SwapSet) -> Iterator[Block]:
    views = [view for view in one.dependents.views if view.materialized and view.populated]
    if views:
        refresh = lines(SQL("REFRESH MATERIALIZED VIEW {}").format(past_table(view)) for view in views)
        body = at_one_snapshot(*drained_at_once(connection, back.pairs), refresh)
        yield Block(
            purpose=f"set {one.set_no}: past materialized views are refreshed at one snapshot of all tables", sql=body
        )


def _validated(connection: Connection, work: Work, back: SetRollback) -> str:
    keys = [key for key in back.foreign_keys if key["validated"]]
    return "\n".join(
        proved_key(connection, work, key, foreign_keys.leaves_of(connection, (key["schema"], key["table_name"])))
        for key in keys
    )


def _gone(one: SwapSet, back: SetRollback) -> str:
    """All of a set's new tables at once: what binds them to each other goes with them, and nothing of others'."""
    made: list[Composable | str] = [
        SQL("DROP {} IF EXISTS {}").format(
            SQL("MATERIALIZED VIEW" if view.materialized else "VIEW"),
            Identifier(away(view.schema), view.name),
        )
        for view in reversed(one.dependents.views)
    ]
    undone = SQL(", ").join(Identifier(spec.rolled_back_schema, spec.name) for spec in one.members)
    made.append(SQL("DROP TABLE IF EXISTS {}").format(undone))
    for pair in back.pairs:
        spec = pair.spec
        if any(column.on_update for column in spec.columns):
            function = Identifier(spec.rolled_back_schema, function_name(spec))
            made.append(SQL("DROP FUNCTION IF EXISTS {}()").format(function))
        made += [*printed(remove_capture(spec)), SQL("DROP TABLE IF EXISTS {}").format(was_table(spec))]
    made.append(SQL("DROP TABLE IF EXISTS {}").format(original_texts_table(0, one.set_no)))
    schemas = {name for r in one.dependents.replaced for name in (r.rolled_back_schema, r.past_schema, r.next_schema)}
    return "\n".join([lines(made), dropped_if_empty(sorted(schemas))])


def taken_away(work: Work, one: SwapSet) -> Iterator[Block]:
    """From before the swap: the live tables were never changed, so what was built beside them is dropped."""
    for spec in one.members:
        made = printed([*capture.remove(spec), *remove_capture(spec)])
        lock = SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(Identifier(spec.schema, spec.name))
        patient = lock_patiently(lock, attempts=work.options.capture_attempts)
        yield label(spec, "its capture is removed", transaction(patient, lines(made)))
    dropped: list[Composable | str] = [
        SQL("DROP {} IF EXISTS {}").format(SQL("MATERIALIZED VIEW" if view.materialized else "VIEW"), next_table(view))
        for view in reversed(one.dependents.views)
    ]
    tables = SQL(", ").join(next_table(spec) for spec in one.members)
    dropped.append(SQL("DROP TABLE IF EXISTS {}").format(tables))
    functions = [each for spec in one.members for each in printed(drop_on_update(spec))]
    schemas = sorted({name for r in one.dependents.replaced for name in (r.next_schema, r.past_schema)})
    body = "\n".join([lines([*dropped, *functions]), dropped_if_empty(schemas)])
    yield Block(purpose=f"set {one.set_no}: the next tables are dropped", sql=body)
