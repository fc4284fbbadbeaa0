"""The market as a demonstration sees it: only the ids, compared with the same job offline."""

from __future__ import annotations

from collections.abc import Mapping

from demo.datasets.converted import judge_of
from demo.datasets.data_set import DataSet
from demo.datasets.market.columns import uuid_columns
from demo.datasets.market.create import create_market
from replank.wording import counted


def _described(rows: Mapping[str, int]) -> str:
    return f"the market has {counted(sum(rows.values()), 'row')} in {counted(len(rows), 'table')}"


MARKET = DataSet(
    name="market",
    title="Text ids became native uuid while the application went on",
    rows=400_000,
    rate=200,
    clients=4,
    create=lambda url, rows: create_market(url, rows=rows),
    described=_described,
    at_work="the application writes, {rate:.0f} transactions a second",
    schemas=("public", "billing"),
    settings={"shared_buffers": "512MB"},
    judge=judge_of(uuid_columns()),
    offline=uuid_columns(),
)
