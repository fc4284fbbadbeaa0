"""A table that psql fills in place, and its rollback."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict

from psycopg.sql import SQL, Identifier, Literal

from producer.psql_scripts.next_table import CHUNK_BLOCKS
from producer.psql_scripts.pass_tables import Work, label
from producer.psql_scripts.swap import unchanged
from producer.stages.backfill_stages import is_quiet
from replank.values.table_spec import TableSpec
from sql.next_table.indexes import build_concurrently, planned_indexes
from sql.next_table.on_update_trigger import create_on_update, drop_on_update
from sql.rows import backfill
from sql.rows.backfill_constraints import added_check, check_name, final_constraints, loosened, taken_out
from sql.rows.fill import backfill_where, reset_statements
from sql.rows.fill_continuity import WORDS, broken_fill_relations
from sql.scripts.psql_script import alone, block, lines, lock_patiently, over_blocks, refuse_rows, transaction, waiting
from sql.scripts.script_templates import Block
from sql.session.connection import Connection
from sql.session.statements import printed
from sql.session.table_names import live_table

QUIET = "    PERFORM set_config('session_replication_role', 'replica', true);"

FILLING = "rows are filled in place, until a round finds none"

FILL_BLOCKS = CHUNK_BLOCKS // 32
"""An updated row costs about ten times a copied one, and stays locked until the chunk's end."""


def filled(connection: Connection, work: Work, spec: TableSpec, rewriting: Collection[str]) -> Iterator[Block]:
    """The blocks of one table; nothing of it is executed."""
    extended = lines(printed([*backfill.extend(spec, rewriting), *create_on_update(spec, live=True)]))
    body = transaction(_locked(work, spec), unchanged(connection, spec), extended)
    yield label(spec, "columns, defaults, and the trigger that fills new rows", body)
    if backfill.filled_columns(spec):
        # Created again here, so that a script that is run again from this block begins with an enabled trigger.
        again = lines(printed([backfill.drop_trigger(spec), *backfill.create_trigger(spec)]))
        rounds = "\n".join([transaction(_locked(work, spec), again), _rounds(connection, spec)])
        yield label(spec, FILLING, rounds)
    checks = [column for column in spec.columns if column.not_null]
    if checks:
        added = lines(printed(added_check(spec, column) for column in checks))
        yield label(spec, "NOT NULL constraints", transaction(_locked(work, spec), added))
        proved = SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}")
        names = [Identifier(check_name(spec, column)) for column in checks]
        yield label(spec, "proved", waiting(proved.format(live_table(spec), name) for name in names))
    for index in planned_indexes(connection, spec):
        said_so = "\n".join(alone(statement) for statement in build_concurrently(connection, asdict(index)))
        yield label(spec, f"unique index {' '.join(index.name.split())}", said_so)
    made = [*final_constraints(connection, spec), backfill.drop_trigger(spec)]
    if not work.options.reverse_capture:
        made.append(backfill.forget_filled(spec))
    final = lines(printed(made))
    stood = (
        refuse_rows(broken_fill_relations(connection, spec), _not_stood(spec)) if backfill.filled_columns(spec) else ""
    )
    yield label(spec, "constraints get their final form", transaction(_locked(work, spec), stood, final))


def _not_stood(spec: TableSpec) -> str:
    return (
        f'{spec.full_name}: {WORDS}, so columns may be NULL. Run the script again from block "{FILLING}". It was on: '
    )


def _rounds(connection: Connection, spec: TableSpec) -> str:
    """Each round goes over all blocks; filled rows have moved to others, where there is nothing to fill."""
    bounds = SQL("live.ctid >= $1 AND live.ctid < $2")
    statement = backfill_where(spec, bounds).as_string(None)
    quiet = f"{QUIET}\n" if is_quiet(connection, spec) else ""
    body = (
        f"{quiet}    EXECUTE {Literal(statement).as_string(None)} USING replank_lower, replank_upper;\n"
        "    GET DIAGNOSTICS replank_count = ROW_COUNT;\n    replank_filled := replank_filled + replank_count;"
    )
    declare = "\n  replank_count bigint;\n  replank_filled bigint := 0;"
    once = over_blocks(spec.heaps, "", body, blocks=FILL_BLOCKS, declare=declare)
    again = "  LOOP\n    replank_filled := 0;"
    looped = once.replace("\nBEGIN\n", f"\nBEGIN\n{again}\n", 1)
    ended = "\n  END LOOP;\n    EXIT WHEN replank_filled = 0;\n  END LOOP;\nEND\n"
    return looped.replace("\n  END LOOP;\nEND\n", ended)


def _locked(work: Work, spec: TableSpec) -> str:
    lock = SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(live_table(spec))
    return lock_patiently(lock, attempts=work.options.capture_attempts)


def emptied(connection: Connection, work: Work, spec: TableSpec, *, nullable: Collection[str]) -> Iterator[Block]:
    """The rollback of one table. Values filled into existing columns are removed where they were not changed."""
    loose = [backfill.drop_trigger(spec), *drop_on_update(spec, live=True), *loosened(spec, nullable)]
    gone = lines(printed(loose))
    yield label(spec, "the trigger that fills new rows is dropped", transaction(_locked(work, spec), gone))
    if backfill.remembered_columns(spec):
        name = Literal(f"replank.{spec.filled_name}").as_string(None)
        quiet = f"{QUIET}\n" if is_quiet(connection, spec) else ""
        back = lines(printed(reset_statements(spec)))
        body = block(f"  IF to_regclass({name}) IS NOT NULL THEN\n{quiet}{back}\n  END IF;")
        yield label(spec, "filled values are set to NULL again, where they were not changed since", body)
    last = lines(printed([*taken_out(spec), backfill.forget_filled(spec)]))
    yield label(spec, "columns and defaults as they were before", transaction(_locked(work, spec), last))
