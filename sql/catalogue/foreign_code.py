"""Functions of other roles that our statements would run: they run with our rights, whatever their owners may do.

A CHECK, a generated column, a default, an index's expression or predicate, a domain, a cast, an operator, or an
expression of the plan may call a function, and its owner may let it do anything that the role which reads or writes the
table may do. Even a SELECT does so: the planner evaluates constant parts of index predicates. What PostgreSQL runs with
the owner's rights (ANALYZE, CREATE INDEX, REFRESH) is no concern here, nor are policies, which never apply to us.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from psycopg import errors
from psycopg.sql import SQL, Composable, Identifier

from replank.errors import NeedsOperator
from replank.values.table_spec import TableSpec
from sql.session.connection import Connection, rows, run, value
from sql.session.named_queries import query
from sql.session.statements import scratch


@dataclass(frozen=True, kw_only=True)
class ForeignFunction:
    """`function` (with its argument types) of `owner`; `oid` is the relation that leads to it, 0 an event trigger."""

    oid: int
    function: str
    owner: str


def foreign_functions(
    connection: Connection, *, read: Collection[int] = (), written: Collection[int] = (), ddl: bool = False
) -> list[ForeignFunction]:
    """What reading or writing these relations would run. The owners lack a right that this role has.

    With `ddl` also what event triggers would run. Looks at the catalogue alone: no table is read or planned for.
    """
    if not value(connection, query("foreign_code.any")):
        return []
    named = {"read": list(read), "written": list(written), "ddl": ddl}
    return [ForeignFunction(**found) for found in rows(connection, query("foreign_code.functions"), named)]


def refuse_foreign_code(connection: Connection, specs: Sequence[TableSpec]) -> None:
    """For tables of a run that has begun: something may have come since, or this role be another one.

    Raises NeedsOperator.
    """
    of = {relation.oid: spec for spec in specs for relation in spec.relations}
    written = [oid for oid, spec in of.items() if spec.method == "backfill" or spec.quarantining_columns]
    for each in foreign_functions(connection, read=of, written=written, ddl=True):
        table = of.get(each.oid, specs[0]).full_name
        raise NeedsOperator(
            f"{table}: the run would execute {each.function} of {each.owner} with this role's rights, which "
            f"{each.owner} does not have. It was added since the run began, or this process connects as another role. "
            "Drop what uses it, or connect as the tables' owner; then `replank retry`, or `replank rollback`."
        )


def of_queries(connection: Connection, queries: Iterable[Composable]) -> list[ForeignFunction]:
    """What these queries would run. Each is written into a view, which is parsed and not planned; nothing stays.

    A query that the server does not understand runs nothing; other checks tell of it.
    """
    found: list[ForeignFunction] = []
    for text in queries:
        with suppress(errors.ProgrammingError), scratch(connection):
            name = Identifier("pg_temp", "replank_expressions")
            run(connection, SQL("CREATE TEMPORARY VIEW replank_expressions AS {}").format(text))
            oid = value(connection, SQL("SELECT {}::regclass::oid::bigint").format(name.as_string(None)))
            found += foreign_functions(connection, read=[oid])
    return found
