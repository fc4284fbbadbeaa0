"""The platform as a demonstration sees it: the whole migration plan, under clients of two styles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from demo.datasets.data_set import DataSet, WholePlan
from demo.datasets.platform.create import create_platform, read_schema_file
from demo.datasets.platform.judge import judge
from demo.datasets.platform.planning import compose_plan
from replank.plan.tables.partition_plan import Every

WORTH_MONTHS = 50_000
"""With fewer rows, a partition for each month of two years would be a table for some dozen rows."""


def _described(rows: Mapping[str, int]) -> str:
    return f"the platform has 71 models and {sum(rows.values()):,} rows in {len(rows)} tables"


def _compose(proposed: Sequence[Mapping[str, Any]], database: str, rows: int) -> str:
    every: Every = "month" if rows >= WORTH_MONTHS else "year"
    return compose_plan(proposed, database=database, every=every)


PLATFORM = DataSet(
    name="platform",
    title="The whole migration plan, while the application went on",
    rows=300_000,
    rate=40,
    clients=3,
    create=lambda url, rows: create_platform(url, rows=rows),
    described=_described,
    at_work="clients of the old style write, {rate:.0f} transactions a second",
    schemas=("public",),
    settings={"shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"},
    # The plan reads some tables into memory after the swap.
    extensions=("pg_prewarm",),
    judge=judge,
    whole_plan=WholePlan(
        last_before_data="07-add-table-mappings",
        attested=("deployment_ready", "team_notified"),
        overridden=("rehearsed", "rollback_scripts"),
        old_clients="old",
        new_clients="new",
        made_schemas=("permission",),
        prisma_schema=read_schema_file,
        compose_plan=_compose,
    ),
)
