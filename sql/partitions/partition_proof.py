"""Proof that a partition's bound holds, before it is attached: with a validated CHECK, ATTACH reads no row."""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import Relation
from sql.partitions.partition_upkeep import RangeColumn
from sql.session.connection import Connection, run
from sql.session.table_names import live_table
from sql.values.conversion import type_name

NAME = "replank_bound_holds"

Limits = tuple[str, str]
"""The half-open range, as texts of the column's type."""


def prove_inside(connection: Connection, made: Relation, column: RangeColumn, limits: Limits) -> None:
    """On a new partition that is still empty: every row that comes in lies in the range."""
    condition = SQL("{0} IS NOT NULL AND {0} >= {1}::{3} AND {0} < {2}::{3}")
    _add(connection, made, condition.format(Identifier(column.name), *limits, type_name(column.type)), SQL(""))


def promise_outside(connection: Connection, rest: Relation, column: RangeColumn, limits: Limits) -> None:
    """On the DEFAULT partition, with a moment's lock: from now on it takes no row of the range."""
    condition = SQL("{0} IS NULL OR {0} < {1}::{3} OR {0} >= {2}::{3}")
    named = condition.format(Identifier(column.name), *limits, type_name(column.type))
    withdraw(connection, rest)
    _add(connection, rest, named, SQL("NOT VALID"))


def prove_outside(connection: Connection, rest: Relation) -> None:
    """Reads every row and blocks no session. Raises CheckViolation if one lies in the range."""
    run(connection, SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}").format(live_table(rest), Identifier(NAME)))


def withdraw(connection: Connection, partition: Relation) -> None:
    """The proof goes; the partition's own bound says the same. What is not there is no error."""
    name = Identifier(NAME)
    run(connection, SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}").format(live_table(partition), name))


def _add(connection: Connection, table: Relation, condition: Composable, how: Composable) -> None:
    run(
        connection,
        SQL("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({}) {}").format(
            live_table(table), Identifier(NAME), condition, how
        ),
    )
