"""A conversion set by psql: what depends on its tables is built beside, and all of it is swapped at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier, Literal

from producer.psql_scripts import capture_checks
from producer.psql_scripts.next_table import drained
from producer.psql_scripts.pass_tables import SwapSet, Work, label
from replank.values.table_spec import TableSpec
from sql.catalogue import fingerprints
from sql.next_table import foreign_keys
from sql.rows import capture
from sql.rows.reverse_capture import enable_prepared_capture, prepare_capture
from sql.scripts.psql_script import (
    SNAPSHOTS,
    at_one_snapshot,
    block,
    dropped_if_empty,
    lines,
    lock_patiently,
    refuse_if,
    refuse_rows,
    regclass,
    transaction,
    until_snapshots_end,
    waiting,
    with_semicolon,
)
from sql.scripts.script_templates import Block
from sql.session.connection import Connection
from sql.session.isolation_level import NOT_READ_COMMITTED, WORDS
from sql.session.statements import Statement, printed, sketched
from sql.session.table_names import live_table
from sql.swap.autovacuum import autovacuum_settings
from sql.swap.cutover import locked_tables
from sql.swap.swap_script import swap_script
from sql.swap.views_beside import build_views_beside, lock_script, make_schemas
from sql.values.text_casts import create_text_casts


@dataclass(frozen=True, kw_only=True)
class ViewsBeside:
    """What makes the schemas that a set's swap needs, and the views over its next tables."""

    schemas: list[Statement]
    views: list[Statement]


def sketched_views_beside(connection: Connection, one: SwapSet) -> ViewsBeside:
    """Composed by building it over existing next tables, in the caller's scratch."""
    return ViewsBeside(
        schemas=sketched(connection, make_schemas(connection, one.dependents)),
        views=sketched(connection, build_views_beside(connection, one.dependents)),
    )


def swapped(connection: Connection, work: Work, one: SwapSet, views_beside: ViewsBeside) -> Iterator[Block]:
    """The blocks of one set whose next tables exist, in the transaction that has built them."""
    captured = one.members if work.options.reverse_capture else ()
    for spec in captured:
        made = lines(printed(prepare_capture(connection, spec)))
        yield label(spec, "triggers of reverse capture, which do nothing yet", transaction(made))
    yield from _views_beside(connection, one, views_beside)
    yield _shortly_before(connection, work, one)
    yield _swap(connection, work, one, captured)
    yield from _validated(connection, work, one)
    for spec in one.members:
        made = lines(printed(capture.remove(spec)))
        lock = SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(Identifier(spec.past_schema, spec.name))
        patient = lock_patiently(lock, attempts=work.options.capture_attempts)
        yield label(spec, "its capture is removed", transaction(patient, made))
    names = ", ".join(spec.full_name for spec in one.members)
    schemas = sorted({relation.next_schema for relation in one.dependents.replaced})
    yield Block(purpose=f"set {one.set_no} ({names}): empty schemas are dropped", sql=dropped_if_empty(schemas))


def _views_beside(connection: Connection, one: SwapSet, views_beside: ViewsBeside) -> Iterator[Block]:
    schemas = lines(printed(views_beside.schemas))
    yield Block(purpose=f"set {one.set_no}: schemas for the past tables", sql=schemas)
    if not one.dependents.views:
        return
    names = ", ".join(view.full_name for view in one.dependents.views)
    drains = [part for spec in one.members for part in drained(connection, spec, compare=True)]
    yield Block(
        purpose=f"set {one.set_no}: {names}, built on the next tables at one snapshot of all of them",
        sql=at_one_snapshot(*drains, lines(printed(views_beside.views))),
    )


def _shortly_before(connection: Connection, work: Work, one: SwapSet) -> Block:
    """The first of these tables was verified long ago: the second drain leaves next to nothing for the lock.

    Between them snapshots end that are older than the first.
    """
    drains = at_one_snapshot(*(part for spec in one.members for part in drained(connection, spec)))
    purpose = f"set {one.set_no}: two drains before the lock"
    if work.options.old_snapshots == "ignore":
        return Block(purpose=purpose, sql="\n".join([drains, drains]))
    ended = block(until_snapshots_end(attempts=work.options.cutover_attempts), declare=SNAPSHOTS)
    return Block(purpose=purpose, sql="\n".join([drains, ended, drains]))


def _swap(connection: Connection, work: Work, one: SwapSet, captured: Sequence[TableSpec]) -> Block:
    names = locked_tables(one.members, one.foreign_keys)
    lock = lock_script(connection, one.dependents.views, names)
    # Views are locked within a DO block there: here they are in one themselves.
    inner = lock if not one.dependents.views else _unpacked(lock)
    before = autovacuum_settings(connection, one.members)
    script = swap_script(connection, one.members, one.foreign_keys, before, one.dependents)
    casts = printed(create_text_casts(connection)) if work.options.text_casts else []
    body = transaction(
        lock_patiently(inner, attempts=work.options.cutover_attempts),
        refuse_if(NOT_READ_COMMITTED, WORDS),
        *(unchanged(connection, spec) for spec in one.members),
        refuse_rows(
            capture_checks.changed_since(connection, one.members, "forward"), capture_checks.refusal_words(one.members)
        ),
        *(part for spec in one.members for part in drained(connection, spec, compare=True)),
        with_semicolon(script),
        lines(enable_prepared_capture(spec) for spec in captured),
        lines(casts),
    )
    tables = ", ".join(spec.full_name for spec in one.members)
    return Block(purpose=f"set {one.set_no}: {tables} are swapped, in one transaction under one lock", sql=body)


def _unpacked(lock: Composable) -> Composable:
    """`EXECUTE '…'` of what a DO block's literal holds."""
    return SQL("EXECUTE {}").format(Literal(lock.as_string(None)))


def unchanged(connection: Connection, spec: TableSpec) -> str:
    """Ends the script where a definition is not the one that the script was made for."""
    checks = [
        SQL("replank.defined({}) <> {}").format(
            SQL(regclass(live_table(relation))), fingerprints.defined(connection, relation.oid)
        )
        for relation in spec.relations
    ]
    words = f"{spec.full_name}: its definition has changed since this script was compiled. Run `replank compile` again."
    return refuse_if(SQL(" OR ").join(checks), words)


def _validated(connection: Connection, work: Work, one: SwapSet) -> Iterator[Block]:
    """Where leaves got a key first, the table's own takes them in when all are validated."""
    laid_out = {(s.schema, s.name): s for s in one.members}
    for key in (key for key in one.foreign_keys if key["validated"] and not key.get("lost")):
        named = (key["schema"], key["table_name"])
        spec = laid_out.get(named)
        leaves = [(h.schema, h.name) for h in spec.next_heaps] if spec is not None and spec.next_partitioned else []
        if spec is None:
            leaves = foreign_keys.leaves_of(connection, named)
        said_of = f"set {one.set_no}: foreign key {key['name']} of {key['schema']}.{key['table_name']} is validated"
        yield Block(purpose=" ".join(said_of.split()), sql=proved_key(connection, work, key, leaves))


def proved_key(
    connection: Connection, work: Work, key: foreign_keys.ForeignKeyDocument, leaves: Sequence[foreign_keys.Name]
) -> str:
    """A foreign key's rows are read while clients write; a table whose leaves had theirs first takes them in."""
    named = (key["schema"], key["table_name"])
    late = foreign_keys.needs_leaves(connection, leaves)
    validate = SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}")
    name = Identifier(key["name"])
    proved = waiting(validate.format(Identifier(*table), name) for table in (leaves if late else [named]))
    if not late:
        return proved
    both = SQL(", ").join([Identifier(*named), Identifier(key["ref_schema"], key["ref_table"])])
    lock = SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(both)
    patient = lock_patiently(lock, attempts=work.options.cutover_attempts)
    return "\n".join([proved, transaction(patient, lines(foreign_keys.own_key(key)))])
