"""Rebuild or backfill in place: which way a table's changes are made, and why."""

from __future__ import annotations

from typing import Literal

from replank.plan.tables.table_plan import TablePlan
from sql.catalogue.catalogue import LiveTable
from sql.session.connection import Connection, row
from sql.session.named_queries import query

Method = Literal["rebuild", "backfill"]

REBUILD_FROM_SHARE = 0.1
"""An updated row costs about ten times a rebuilt one (prototype: 48.9 s against 4.2 s for 2 M rows)."""

SMALL_BLOCKS = 256
"""Up to here (2 MB) either is done in a moment, and a backfill needs no cutover."""


OF_A_FAMILY = "inheritance joins it to other tables, and these are rebuilt together"


def needs_rebuild(planned: TablePlan) -> str:
    """Why the table cannot be changed in place; empty if it can."""
    if planned.columns:
        return "columns change their type"
    if planned.partition is not None:
        return "its rows move to other partitions"
    for filled in planned.fill:
        if not filled.only_null:
            return f"{filled.name} is overwritten: only a rebuild records which rows are done"
    return ""


def choose_method(connection: Connection, planned: TablePlan, live: LiveTable) -> tuple[Method, str]:
    """The way and why: what must be, else the plan's word, else by the share of rows that change."""
    why = needs_rebuild(planned)
    if why:
        return "rebuild", why
    if live.kin:
        return "rebuild", OF_A_FAMILY
    if planned.method != "auto":
        return planned.method, "the plan says so"
    share = changed_share(connection, planned, live)
    if live.heap_blocks <= SMALL_BLOCKS:
        return "backfill", "the table is small"
    if share > REBUILD_FROM_SHARE:
        return "rebuild", f"about {share:.0%} of its rows change: rewriting the table is cheaper than updating them"
    return "backfill", f"about {share:.0%} of its rows change"


def changed_share(connection: Connection, planned: TablePlan, live: LiveTable) -> float:
    """Which share of the rows gets a value, from 0 to 1; 1 where statistics do not know."""
    shares = [1.0 for added in planned.add if added.value is not None or _draws(added.default)]
    for filled in planned.fill:
        found = row(
            connection,
            query("backfilling.null_share"),
            {"schema": live.schema, "table": live.name, "column": filled.name},
        )
        known = None if found is None else found["share"]
        shares.append(1.0 if known is None else float(known))
    return max(shares, default=0.0)


def _draws(default: str | None) -> bool:
    """Whether a default may be another one for each row. Only an estimate hangs on it."""
    return default is not None and "(" in default and not default.strip().startswith(("now(", "'"))
