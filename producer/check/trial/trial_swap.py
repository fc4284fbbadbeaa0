"""The trial of the swap: everything that its script makes is made on next tables that stand, and timed.

Nothing is locked that others use: the parts are composed for the next tables where they lie, and tables at the other
end of a foreign key have stand-ins. What fails is named, all of it at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Identifier

from producer.check.findings import Finding, blocker
from producer.check.trial.attempt import attempt
from producer.planning.conversion_sets import key_documents
from producer.planning.repartition import lost_keys
from replank.values.table_spec import TableSpec
from sql.catalogue.catalogue import ForeignKey
from sql.catalogue.dependents import Dependents, moved_away, views_taken_out
from sql.catalogue.inheritance import children_first
from sql.checks.stand_ins import make_stand_ins
from sql.next_table.extended_statistics import read_statistics
from sql.next_table.foreign_keys import border_keys_of_siblings
from sql.rows.reverse_capture import enable_prepared_capture, prepare_capture
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.statements import Statement
from sql.session.table_names import next_table
from sql.swap.autovacuum import autovacuum_settings, autovacuum_statement
from sql.swap.swap_parts import Made, Site, family_parts, from_part, joint_parts, own_parts
from sql.swap.swap_script import moved
from sql.values.text_casts import create_text_casts

NOT_LOOKED_FOR = "Write it so that it works with either type, or drop it before the run and create it again afterwards."


@dataclass(kw_only=True)
class Clock:
    """How long what the trial builds has taken, without what is around it."""

    seconds: float = 0.0

    def timed(self, statements: Iterable[Statement], *, times: int = 1) -> Iterator[Statement]:
        """The same, until the last is executed; counted as often as the swap does the like of it."""
        started = time.perf_counter()
        yield from statements
        self.seconds += (time.perf_counter() - started) * times


def try_own_parts(connection: Connection, site: Site, spec: TableSpec, clock: Clock) -> Iterator[Finding]:
    """Sequences, CHECKs and triggers of one next table that stands."""
    yield from _try(connection, list(own_parts(site, spec)), clock)


def try_joint_parts(
    connection: Connection,
    site: Site,
    specs: Sequence[TableSpec],
    foreign_keys: Sequence[Mapping[str, Any]],
    clock: Clock,
) -> Iterator[Finding]:
    """What joins or names several of the next tables, which all stand, with the views over them."""
    failed = attempt(connection, None, "stand-ins", make_stand_ins(connection, specs, foreign_keys))
    if failed is not None:
        yield failed
        return
    parts = [*family_parts(site, children_first(connection, specs)), *joint_parts(site, specs, foreign_keys)]
    for function in site.dependents.functions:
        away = clock.timed([Statement(sql=moved_away(function))])
        finding = attempt(connection, None, f"function {function.signature}", away)
        if finding is not None:
            yield finding
    yield from _try(connection, parts, clock)
    yield from _found_by_name(connection, site.dependents)


def _found_by_name(connection: Connection, dependents: Dependents) -> Iterator[Finding]:
    """What is only made because the trial's search_path finds an operator or function of the user's.

    The swap says all names in full, so that no other operator can take the place of the intended one.
    """
    named = {
        "oids": [relation.oid for relation in dependents.kept],
        "schemas": [relation.schema for relation in dependents.kept],
        "names": [relation.name for relation in dependents.kept],
        "next_schemas": [relation.next_schema for relation in dependents.kept],
        "moved": dependents.function_oids,
    }
    for found in rows(connection, query("dependents.found_by_name"), named):
        yield blocker(
            "trial_failed",
            f"{found['what']} could be built on uuids only with {found['uses']}, which the swap does not search",
            hint=NOT_LOOKED_FOR,
            table=found["table"],
            object=found["what"],
        )


def try_taken_away(
    connection: Connection,
    site: Site,
    specs: Sequence[TableSpec],
    foreign_keys: Sequence[Mapping[str, Any]],
    clock: Clock,
) -> Iterator[Finding]:
    """What the swap takes from live tables: keys over the set's border, memberships in publications; and autovacuum.

    From what was made beside: live tables are not touched.
    """
    members = {(relation.schema, relation.name) for spec in specs for relation in spec.relations}
    for key, statements in border_keys_of_siblings(connection, foreign_keys, specs, members):
        table = f"{key['schema']}.{key['table_name']}"
        what = f"foreign key {key['name']} of {table}"
        yield from _try(connection, [Made(what=what, table=table, statements=tuple(statements))], clock)
    for part in views_taken_out(connection, site.dependents):
        yield from _try(connection, [from_part(site, part)], clock)
    before = autovacuum_settings(connection, specs)
    for spec in specs:
        for heap in spec.next_heaps:
            switched = autovacuum_statement(next_table(heap), before.get(str(heap.oid)))
            made = Made(what=f"autovacuum of {heap.full_name}", table=heap.full_name, statements=(switched,))
            yield from _try(connection, [made], clock)


def try_moves(
    connection: Connection, specs: Sequence[TableSpec], dependents: Dependents, clock: Clock
) -> list[Finding]:
    """Comes last: each next relation goes to the schema of past ones, as live ones do; the swap does that twice."""
    moves = [
        (r.full_name, moved(next_table(r), r.past_schema))
        for spec in specs
        for r in (spec.next_relations if spec.layout is None else (spec,))
    ]
    moves += [(view.full_name, moved(next_table(view), view.past_schema)) for view in dependents.views]
    for s in read_statistics(connection, dependents.succeeded):
        name, to = Identifier(s.next_schema, s.name), Identifier(s.past_schema)
        moves.append((f"{s.schema}.{s.name}", SQL("ALTER STATISTICS {} SET SCHEMA {}").format(name, to)))
    found = [
        attempt(connection, None, f"the move of {name}", clock.timed([Statement(sql=statement)], times=2))
        for name, statement in moves
    ]
    return [finding for finding in found if finding is not None]


def try_reverse_capture(connection: Connection, specs: Sequence[TableSpec], clock: Clock) -> Iterator[Finding]:
    """What logs the changes of the new tables for a rollback."""
    for spec in (spec for spec in specs if spec.key):
        what = "its reverse capture"
        failed = attempt(connection, spec.full_name, what, _prepare_capture(connection, spec))
        if failed is None:
            switch = clock.timed([Statement(sql=enable_prepared_capture(spec))])
            failed = attempt(connection, spec.full_name, what, switch)
        if failed is not None:
            yield failed


def try_text_casts(connection: Connection) -> list[Finding]:
    """From here on texts are uuids in this transaction: nothing is tried after it."""
    failed = attempt(connection, None, "the casts from text to uuid", create_text_casts(connection))
    return [] if failed is None else [failed]


def key_documents_of(specs: Sequence[TableSpec], foreign_keys: Sequence[ForeignKey]) -> list[Mapping[str, Any]]:
    """The foreign keys around these tables as the ledger would keep them."""
    lost = {each.key.oid for each in lost_keys(specs, foreign_keys)}
    return key_documents({spec.oid for spec in specs}, foreign_keys, lost)


def _try(connection: Connection, parts: Iterable[Made], clock: Clock) -> Iterator[Finding]:
    for part in parts:
        made = [Statement(sql=each, settings={"search_path": part.path}) for each in part.statements]
        failed = attempt(connection, part.table, part.what, clock.timed(made))
        if failed is not None:
            yield failed


def _prepare_capture(connection: Connection, spec: TableSpec) -> Iterator[Statement]:
    yield Statement(sql=SQL("CREATE SCHEMA IF NOT EXISTS replank"))
    yield from prepare_capture(connection, spec)
