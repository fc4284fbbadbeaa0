"""The statements of the swap, composed before the lock is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import TableSpec
from sql.catalogue.dependents import Dependents, taken_out
from sql.catalogue.inheritance import children_first
from sql.next_table.extended_statistics import moved_statistics
from sql.next_table.foreign_keys import drop_border_keys
from sql.next_table.owned_sequences import carried_sequences
from sql.session.connection import Connection
from sql.session.table_names import live_table, next_table, past_table
from sql.swap.autovacuum import autovacuum_statement
from sql.swap.swap_parts import Made, Site, family_parts, joint_parts, own_parts
from sql.swap.views_beside import moved_views


def swap_script(
    connection: Connection,
    specs: Sequence[TableSpec],
    foreign_keys: Sequence[Mapping[str, Any]],
    autovacuum_before: Mapping[str, str | None],
    dependents: Dependents,
) -> Composable:
    """`swap_statements` as one script."""
    return SQL(";\n").join(swap_statements(connection, specs, foreign_keys, autovacuum_before, dependents))


def swap_statements(
    connection: Connection,
    specs: Sequence[TableSpec],
    foreign_keys: Sequence[Mapping[str, Any]],
    autovacuum_before: Mapping[str, str | None],
    dependents: Dependents,
) -> list[Composable]:
    """live → past, next → live, and everything that hangs on the tables as it was (`sql.swap.swap_parts`).

    `autovacuum_before` holds each heap's own autovacuum_enabled by oid, None where unset.
    """
    relations = [relation for spec in specs for relation in spec.relations]
    members = {(relation.schema, relation.name) for relation in relations}
    statements = drop_border_keys(foreign_keys, members)
    before: list[Composable] = []
    after: list[Composable] = []
    site = Site(connection=connection, dependents=dependents, before_swap=False)
    ordered = children_first(connection, specs)
    for relation in (r for s in ordered for r in (s.relations if s.layout is None else (s,))):
        detached, _ = carried_sequences(
            connection, relation, built_in=relation.next_schema, gone_to=relation.past_schema
        )
        before += detached
    after += _statements(part for spec in ordered for part in own_parts(site, spec))
    after += _statements(family_parts(site, ordered))
    # Filling switched autovacuum off for the next tables, the cutover for the live ones.
    heaps = [(live_table(heap), heap) for spec in specs for heap in spec.next_heaps]
    heaps += [(past_table(heap), heap) for spec in specs for heap in spec.heaps]
    after += [autovacuum_statement(table, autovacuum_before.get(str(heap.oid))) for table, heap in heaps]
    statements += before
    statements += taken_out(connection, dependents)
    statements += [moved(live_table(relation), relation.past_schema) for relation in relations]
    statements += [moved(next_table(r), r.schema) for spec in specs for r in spec.next_relations]
    statements += moved_views(dependents.views)
    statements += moved_statistics(connection, dependents.succeeded)
    statements += after
    statements += _statements(joint_parts(site, specs, foreign_keys))
    return statements


def _statements(parts: Iterable[Made]) -> list[Composable]:
    return [statement for part in parts for statement in part.statements]


def moved(table: Identifier, schema: str) -> Composable:
    return SQL("ALTER TABLE {} SET SCHEMA {}").format(table, Identifier(schema))
