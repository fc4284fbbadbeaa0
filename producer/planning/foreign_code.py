"""Functions of other roles that the run would execute: it would lend them this role's rights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from producer.planning.resolution import Resolved
from replank.errors import NeedsOperator
from replank.plan.plan import Plan
from replank.plan.tables.cache_plan import TableCachePlan
from replank.plan.tables.table_plan import TablePlan
from replank.plan.text.plan_words import split_name
from sql.catalogue.catalogue import LiveTable
from sql.catalogue.foreign_code import ForeignFunction, foreign_functions, of_queries
from sql.catalogue.relation_oids import relation_oids
from sql.session.connection import Connection
from sql.values.conversion import type_name


@dataclass(frozen=True, kw_only=True)
class ForeignCode:
    """`functions` are pairs of a function and its owner; `tables` are those of the plan that execute some of them."""

    functions: tuple[tuple[str, str], ...]
    tables: tuple[str, ...]

    @property
    def message(self) -> str:
        said = ", ".join(f"{function} of {owner}" for function, owner in self.functions[:5])
        more = f" and {len(self.functions) - 5} more" if len(self.functions) > 5 else ""
        owners = ", ".join(sorted({owner for _, owner in self.functions}))
        by = f" (by {', '.join(self.tables)})" if self.tables else ""
        return f"the run would execute {said}{more} with this role's rights, which {owners} does not have{by}"


class ForeignCodeRefused(NeedsOperator):
    """Nothing of the tables was read: even the plan of a query may evaluate parts of an index's predicate."""

    def __init__(self, code: ForeignCode, resolved: Resolved) -> None:
        super().__init__(code.message)
        self.code = code
        self.already = resolved.already


def find_foreign_code(connection: Connection, plan: Plan, resolved: Resolved) -> ForeignCode | None:
    """Whatever of the plan, or of its tables, belongs to roles that lack some of this role's rights.

    Raises ForeignCodeRefused where there is any and the plan does not trust it.
    """
    found = _found(connection, plan, resolved)
    if not found:
        return None
    names = {live.oid: live.full_name for _, live in resolved.tables}
    code = ForeignCode(
        functions=tuple(sorted({(each.function, each.owner) for each in found})),
        tables=tuple(sorted({names[each.oid] for each in found if each.oid in names})),
    )
    if not plan.options.trusts_functions:
        raise ForeignCodeRefused(code, resolved)
    return code


def _found(connection: Connection, plan: Plan, resolved: Resolved) -> list[ForeignFunction]:
    read = {live.oid for _, live in resolved.tables}
    read |= {oid for key in resolved.foreign_keys for oid in (key.table_oid, key.ref_oid)}
    read |= set(relation_oids(connection, _named(plan)).values())
    written = {live.oid for planned, live in resolved.tables if _is_written(planned)}
    written |= set(relation_oids(connection, _written_by_steps(plan)).values())
    found = foreign_functions(connection, read=read, written=written, ddl=True)
    return found + of_queries(connection, _queries(plan, resolved))


def _is_written(planned: TablePlan) -> bool:
    """Whether live rows may be updated: by filling in place, or by corrections of rows in quarantine."""
    in_place = not planned.columns and planned.partition is None and planned.method != "rebuild"
    return in_place or any(column.on_invalid == "quarantine" for column in planned.columns)


def _named(plan: Plan) -> Iterator[tuple[str, str]]:
    """Caches, and the tables that they follow."""
    for cache in plan.caches:
        if isinstance(cache, TableCachePlan):
            yield cache.table_schema, cache.name
            yield from ((source.table_schema, source.name) for source in cache.keep_in_step)
    if plan.steps.permission_cache is not None:
        yield from (split_name(source.table) for source in plan.steps.permission_cache.sources)


def _written_by_steps(plan: Plan) -> Iterator[tuple[str, str]]:
    """Step 01 fills a column; whether step 03's log misses anything is tried on rows."""
    if plan.steps.uuid_fields is not None:
        yield from map(split_name, plan.steps.uuid_fields.tables)
    if plan.steps.audit_log is not None:
        yield from map(split_name, plan.steps.audit_log.tables or ())


def _queries(plan: Plan, resolved: Resolved) -> Iterator[Composable]:
    """Every expression and query of the plan, each as a query of one column."""
    for planned, live in resolved.tables:
        yield from _expressions(planned, live)
    texts = [cache.query for cache in plan.caches if isinstance(cache, TableCachePlan)]
    if plan.steps.permission_cache is not None:
        texts.append(plan.steps.permission_cache.query)
    for text in texts:
        yield SQL("SELECT 1 AS one FROM ({}\n) AS q").format(type_name(text.strip().rstrip(";")))


def _expressions(planned: TablePlan, live: LiveTable) -> Iterator[Composable]:
    joins = SQL(" ").join(
        SQL("LEFT JOIN ({}) AS {} ON ({})").format(type_name(join.query), Identifier(join.name), type_name(join.on))
        for join in planned.join
    )
    source = SQL("{} AS live {}").format(Identifier(live.schema, live.name), joins)
    if planned.join:
        yield SQL("SELECT 1 AS one FROM {}").format(source)
    values = [column.value for column in planned.add] + [column.value for column in planned.fill]
    for value in (value for value in values if value is not None):
        yield SQL("SELECT 1 AS one FROM {} WHERE ({}) IS NULL").format(source, type_name(value))
    defaults = [c.default for c in planned.columns] + [c.default for c in planned.add]
    for default in (default for default in defaults + [c.default for c in planned.fill] if default is not None):
        yield SQL("SELECT 1 AS one WHERE ({}) IS NULL").format(type_name(default))
    for added in planned.add:
        yield SQL("SELECT NULL::{} AS one").format(type_name(added.type))
