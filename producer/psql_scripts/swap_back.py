"""A set's rollback by psql: past and new tables are swapped back, while clients write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from psycopg.sql import SQL, Identifier, Literal

from producer.psql_scripts import capture_checks
from producer.psql_scripts.pass_tables import SwapSet, Work
from producer.psql_scripts.reverse_drain import drained_shortly, logged_changes
from producer.rollback.prepare import ROUNDS, SHORT_LOG
from replank.backoff import SHORT_LOCK
from sql.catalogue.catalogue import ForeignKey
from sql.next_table.extended_statistics import read_statistics
from sql.rollback.set_rollback import SetRollback
from sql.rollback.swap_back import swap_back_script
from sql.rollback.table_pair import TablePair
from sql.scripts.psql_script import (
    COUNT,
    FOUND,
    REWRITTEN,
    SNAPSHOTS,
    block,
    dollar_quoted,
    lines,
    refused_rows,
    until_snapshots_end,
    with_semicolon,
)
from sql.scripts.script_templates import Block
from sql.session.connection import Connection
from sql.session.isolation_level import NOT_READ_COMMITTED, WORDS
from sql.session.passing_errors import WHEN_LOCK_MISSED
from sql.swap.moved_dependents import Hanging
from sql.swap.views_beside import lock_script

NOBODY = f"  EXCEPTION WHEN {WHEN_LOCK_MISSED} THEN"


def swapped_back(connection: Connection, work: Work, one: SwapSet, back: SetRollback) -> Block:
    """Drains in rounds until the logs are short, then the lock, the last drain and the swap; again where it missed."""
    views, statistics = one.dependents.views, read_statistics(connection, one.dependents.succeeded)
    new = Hanging(views=views, functions=(), statistics=tuple(statistics))
    past = Hanging(
        views=tuple(replace(view, schema=view.past_schema) for view in views),
        functions=(),
        statistics=tuple(replace(each, schema=each.past_schema) for each in statistics),
    )
    keys = _standing(work, one)
    schemas = sorted(new.past_schemas | {r.rolled_back_schema for r in back.new_relations})
    made = [SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)) for schema in schemas]
    script = swap_back_script(connection, back, past, new, keys, before_swap=True)
    names = {(r.schema, r.name) for r in back.new_relations} | {(r.past_schema, r.name) for r in back.past_relations}
    for key in keys:
        names |= {(key.schema, key.table_name), (key.ref_schema, key.ref_table)}
    lock = lock_script(connection, views, sorted(names))
    inner = lock if not views else SQL("EXECUTE {}").format(Literal(lock.as_string(None)))
    body = _until_granted(connection, work, back.pairs, with_semicolon(inner), with_semicolon(script))
    tables = ", ".join(spec.full_name for spec in one.members)
    purpose = f"set {one.set_no}: the past tables are live again: {tables}"
    return Block(purpose=purpose, sql="\n".join([lines(made), body]))


def _standing(work: Work, one: SwapSet) -> list[ForeignKey]:
    """The foreign keys that the new tables have."""
    members = {spec.oid for spec in one.members}
    lost = {key["name"] for key in one.foreign_keys if key.get("lost")}
    return [k for k in work.keys if (k.table_oid in members or k.ref_oid in members) and k.name not in lost]


def _until_granted(connection: Connection, work: Work, pairs: Sequence[TablePair], lock: str, script: str) -> str:
    """One DO block, whose COMMITs end each round: no lock is held while it drains, and none is waited for long.

    The transaction of the swap sees what was committed until it got the lock: it is READ COMMITTED again.
    """
    counted = f"{with_semicolon(logged_changes(pairs)).rstrip(';')} INTO replank_logged;"
    drained = drained_shortly(connection, pairs)
    specs = [pair.spec for pair in pairs]
    looked = refused_rows(capture_checks.changed_since(connection, specs, "back"), capture_checks.refusal_words(specs))
    options = work.options
    too_many = (
        "RAISE lock_not_available USING MESSAGE = replank_logged || ' changes came in while waiting for the lock'"
    )
    rewritten = f"RAISE EXCEPTION USING MESSAGE = {Literal(REWRITTEN).as_string(None)} || replank_rewritten"
    not_so = f"RAISE EXCEPTION USING MESSAGE = {Literal(WORDS).as_string(None)}"
    ended = [until_snapshots_end(attempts=options.cutover_attempts)] if options.old_snapshots == "wait" else []
    return block(
        "\n".join(
            [
                "LOOP",
                "-- In rounds, each at one snapshot of all tables, while the application writes:",
                f"FOR replank_round IN 1 .. {ROUNDS} LOOP",
                "  COMMIT;\n  SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;",
                f"  {counted}",
                drained,
                "  SELECT string_agg(name, ', ') INTO replank_rewritten FROM replank.rewritten() AS t (name);",
                f"  IF replank_rewritten <> '' THEN\n    {rewritten};\n  END IF;",
                f"  EXIT WHEN replank_logged <= {SHORT_LOG};\nEND LOOP;",
                "COMMIT;",
                *ended,
                "COMMIT;\nSET TRANSACTION ISOLATION LEVEL READ COMMITTED;",
                "-- The last drain and the swap, under the lock:",
                f"BEGIN\n{lock}",
                f"  IF {NOT_READ_COMMITTED.as_string(None)} THEN\n    {not_so};\n  END IF;",
                looked,
                counted,
                f"  IF replank_logged > {options.cutover_log_rows} THEN\n    {too_many};\n  END IF;",
                drained,
                f"  EXECUTE {dollar_quoted(script)};\n  EXIT;",
                NOBODY,
                "    replank_attempt := replank_attempt + 1;",
                f"    IF replank_attempt >= {options.cutover_attempts} THEN RAISE; END IF;",
                f"    PERFORM pg_sleep({SHORT_LOCK.sql('replank_attempt')});",
                "END;",
                "END LOOP;",
            ]
        ),
        declare=(
            f"{COUNT}\n{SNAPSHOTS}\n  replank_logged bigint;\n  replank_rewritten text;\n  replank_attempt int := 0;\n"
            f"{FOUND}"
        ),
    )
