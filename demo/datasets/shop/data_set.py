"""The shop as a demonstration sees it: only the ids, compared with the same job offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from demo.datasets.data_set import DataSet, Migration
from demo.datasets.shop.columns import uuid_columns
from demo.datasets.shop.create import create_shop
from replank.wording import counted


def _described(rows: Mapping[str, int]) -> str:
    return f"the shop has {counted(sum(rows.values()), 'row')} in {counted(len(rows), 'table')}"


def judge(url: str, migration: Migration, _criteria: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """By the catalogue: are all columns uuid and all keys valid; by the ledger: was every table compared?"""
    wanted = {(s, t, c) for (s, t), columns in uuid_columns().items() for c in columns}
    with psycopg.connect(url, autocommit=True) as connection:
        typed = connection.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE data_type = 'uuid'"
        ).fetchall()
        invalid = connection.execute(
            "SELECT count(*) FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace"
            " WHERE k.contype = 'f' AND NOT k.convalidated AND n.nspname !~ '^replank'"
        ).fetchall()
    missing = wanted - {tuple(row) for row in typed}
    words = (
        f"{len(wanted) - len(missing)} of {len(wanted)} columns are uuid, {migration.compared} of {migration.tables} "
        f"tables compared row by row before the swap, {counted(invalid[0][0], 'foreign key')} left unvalidated"
    )
    all_done = migration.compared == migration.tables and migration.state == "done"
    return not missing and not invalid[0][0] and all_done, words


SHOP = DataSet(
    name="shop",
    title="Text ids became native uuid while the application went on",
    rows=400_000,
    rate=200,
    clients=4,
    create=lambda url, rows: create_shop(url, rows=rows),
    described=_described,
    at_work="the application writes, {rate:.0f} transactions a second",
    schemas=("public", "billing"),
    settings={"shared_buffers": "512MB"},
    judge=judge,
    offline=uuid_columns(),
)
