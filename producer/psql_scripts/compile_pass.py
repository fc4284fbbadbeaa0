"""Steps 08, 09 and 10 as scripts. One pass does them; its script is that of the first step that has something to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from psycopg import errors
from psycopg.sql import SQL, Identifier

from producer.psql_scripts.backfill import emptied, filled
from producer.psql_scripts.capture_checks import GONE
from producer.psql_scripts.fused_steps import check_blocks
from producer.psql_scripts.next_table import NextTable, built, sketched_table
from producer.psql_scripts.pass_tables import PASS_STEPS, SwapSet, Work, steps_asked, why_not_by_hand
from producer.psql_scripts.rollback import returned, taken_away, tidied
from producer.psql_scripts.swap import ViewsBeside, sketched_views_beside, swapped, unchanged
from producer.steps.compiled import CompiledStep
from producer.steps.enum_types import make_types
from producer.steps.mappings import renamed_tables
from replank.errors import NeedsOperator
from replank.values.steps import STEPS, Step
from replank.values.table_spec import Relation
from sql.catalogue.catalogue import read_tables
from sql.rows import backfill
from sql.scripts.psql_script import FUNCTIONS_GONE, dropped_if_empty, functions, lines, refuse_if
from sql.scripts.script_templates import Block, Script
from sql.session.connection import Connection
from sql.session.named_queries import query
from sql.session.statements import only_reading, scratch
from sql.session.table_names import next_table, past_table

PURPOSES = {
    8: "Texts become uuid: each table is rebuilt beside the live one, and swapped",
    9: "Audit fields: columns are added and filled",
    10: "Partitions: rows are moved to their partitions",
}

ALREADY = "has a next or past table already, of psql or of a run. Roll that back or finish it first."
TOO_EARLY = (
    "This script was compiled with the names from before step 07 and is for review only. When the steps before it have "
    "run, `replank compile` again, and run the new script."
)


def compile_pass(connection: Connection, work: Work) -> list[CompiledStep]:
    """The scripts of the three steps. What they are read from is built, empty, in a transaction that is rolled back.

    What the product cannot do by a script refuses in the script itself.
    """
    forward: tuple[Block, ...] = ()
    back: tuple[Block, ...] = ()
    reasons = why_not_by_hand(work)
    if not reasons and work.specs:
        try:
            with scratch(connection):
                forward, back = _both(connection, work)
        except (errors.OperationalError, errors.ReadOnlySqlTransaction):
            # The latter is a mistake of ours: something was changed where it should have been said.
            raise
        except (errors.DatabaseError, NeedsOperator) as error:
            reasons = [str(error).splitlines()[0]]
    if reasons:
        forward = back = (_refusal(reasons),)
    asked = steps_asked(work)
    return [_step(work, step, asked, forward, back, refused=bool(reasons)) for step in _steps()]


def as_kept(kept: Mapping[str, Script]) -> list[CompiledStep]:
    """The three steps as a run keeps them, by the names of their scripts."""
    return [CompiledStep(step=s, forward=kept[s.name], back=kept[s.rollback_name]) for s in _steps()]


def _steps() -> list[Step]:
    return [step for step in STEPS if step.number in PASS_STEPS]


def _step(
    work: Work, step: Step, asked: Sequence[int], forward: tuple[Block, ...], back: tuple[Block, ...], *, refused: bool
) -> CompiledStep:
    nothing = "the plan does not contain this step"
    if step.name in work.plan.steps.off:
        nothing = "the plan disables this step"
    there, again = forward, back
    if step.number not in asked:
        there = again = ()
    elif step.number != asked[0] and not refused:
        carrier = next(each for each in _steps() if each.number == asked[0])
        there, again = tuple(check_blocks(work, step.number, carrier.name)), ()
        nothing = f"{carrier.rollback_name} rolls back the whole pass"
    made = [
        Script(
            name=name,
            purpose=purpose,
            lock_timeout_ms=work.options.lock_timeout_ms,
            blocks=blocks,
            once=True,
            why_nothing=nothing,
        )
        for name, purpose, blocks in (
            (step.name, PURPOSES[step.number], there),
            (step.rollback_name, f"Rolls back {step.name}", again),
        )
    ]
    return CompiledStep(step=step, forward=made[0], back=made[1])


def _refusal(reasons: Sequence[str]) -> Block:
    """A script that would do it by halves does nothing."""
    words = "psql cannot run this step, only `replank run` can: " + "; ".join(reasons)
    return Block(purpose="only `replank run` can do this", sql=refuse_if(SQL("true"), words))


def _both(connection: Connection, work: Work) -> tuple[tuple[Block, ...], tuple[Block, ...]]:
    """Forward and back. The ways back are composed before anything is built: both begin from the live tables."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS replank")
    # Next tables may have types that step 05 is yet to make.
    make_types(connection, work.plan)
    with only_reading(connection):
        back = tuple(_back(connection, work))
    rewriting = {spec.oid: backfill.rewriting_columns(connection, spec) for spec in work.filled}
    tables = {spec.oid: sketched_table(connection, spec) for spec in work.rebuilt}
    views_beside = {one.set_no: sketched_views_beside(connection, one) for one in work.sets}
    with only_reading(connection):
        return tuple(_forward(connection, work, rewriting, tables, views_beside)), back


def _session(work: Work) -> Block:
    """psql's own variable, for locks that are waited for in between, and no event triggers where that is allowed."""
    short = f"\\set short {work.options.lock_timeout_ms}ms\n"
    return Block(purpose="lock_timeout of the short locks", sql=short + lines([query("event_triggers.switch_off")]))


def _too_early(connection: Connection, work: Work) -> Iterator[Block]:
    """Before step 07 the tables have other names, and expressions that use new ones could not be parsed."""
    if renamed_tables(connection, work.plan.steps):
        yield Block(purpose="not before step 07", sql=refuse_if(SQL("true"), TOO_EARLY))


def _forward(
    connection: Connection,
    work: Work,
    rewriting: Mapping[int, Collection[str]],
    tables: Mapping[int, NextTable],
    views_beside: Mapping[int, ViewsBeside],
) -> Iterator[Block]:
    yield from _too_early(connection, work)
    yield _session(work)
    yield Block(
        purpose="schema replank: change logs, and functions that read definitions and find rewritten tables",
        sql="CREATE SCHEMA IF NOT EXISTS replank;\n" + functions(),
    )
    checks = [
        refuse_if(
            SQL("to_regclass({}) IS NOT NULL OR to_regclass({}) IS NOT NULL").format(
                next_table(spec).as_string(None), past_table(spec).as_string(None)
            ),
            f"{spec.full_name} {ALREADY}",
        )
        for spec in work.rebuilt
    ]
    checks += [unchanged(connection, spec) for spec in work.specs]
    yield Block(purpose="check that the tables have not changed since this was compiled", sql="\n".join(checks))
    for spec in work.filled:
        yield from filled(connection, work, spec, rewriting[spec.oid])
    for spec in work.rebuilt:
        yield from built(connection, work, spec, tables[spec.oid])
    for one in work.sets:
        yield from swapped(connection, work, one, views_beside[one.set_no])


def _back(connection: Connection, work: Work) -> Iterator[Block]:
    yield from _too_early(connection, work)
    yield _session(work)
    begun = refuse_if(
        SQL("to_regprocedure('replank.defined(regclass)') IS NULL"),
        "There is no pass by psql to roll back: none was begun, or it is finished. `replank rollback` rolls "
        "back a run.",
    )
    yield Block(purpose="check that psql has begun this pass", sql=begun)
    for one in reversed(work.sets):
        yield from _set_back(connection, work, one)
    for spec in work.filled:
        (live,) = read_tables(connection, [spec.oid])
        nullable = {column.name for column in live.columns if not column.not_null}
        yield from emptied(connection, work, spec, nullable=nullable)
    gone = f"{FUNCTIONS_GONE}{GONE}\n" + dropped_if_empty(["replank"])
    yield Block(purpose="remove what is left in schema replank", sql=gone)


def _set_back(connection: Connection, work: Work, one: SwapSet) -> Iterator[Block]:
    """How far the pass has come is asked when the script runs, and again behind the swap back."""
    first = one.members[0]
    swapped = _asked(f"swapped_{one.set_no}", past_table(first))
    undone = _asked(f"undone_{one.set_no}", Identifier(first.rolled_back_schema, first.name))
    captured = work.options.reverse_capture
    whole = list(returned(connection, work, one)) if captured else [_no_rollback(first)]
    whole[0] = _after(whole[0], f"{swapped}{undone}\\if :swapped_{one.set_no}\n")
    early = list(taken_away(work, one))
    early[0] = _after(early[0], f"\\elif :undone_{one.set_no}\n\\else\n")
    early[-1] = _before(early[-1], "\n\\endif")
    last = list(tidied(connection, work, one)) if captured else []
    if last:
        last[0] = _after(last[0], f"{undone}\\if :undone_{one.set_no}\n")
        last[-1] = _before(last[-1], "\n\\endif")
    yield from [*whole, *early, *last]


def _asked(name: str, table: Identifier) -> str:
    """A psql variable that says whether the table is there."""
    found = SQL("SELECT to_regclass({}) IS NOT NULL AS {}").format(table.as_string(None), Identifier(name))
    return f"{found.as_string(None)} \\gset\n"


def _before(last: Block, words: str) -> Block:
    return Block(purpose=last.purpose, sql=last.sql + words)


def _after(first: Block, words: str) -> Block:
    return Block(purpose=first.purpose, sql=words + first.sql)


def _no_rollback(spec: Relation) -> Block:
    words = f"{spec.full_name} is swapped, and the plan says reverse_capture = false: a rollback would lose changes."
    return Block(
        purpose="check that no table is swapped: a rollback would lose changes", sql=refuse_if(SQL("true"), words)
    )
