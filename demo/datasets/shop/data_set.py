"""The shop as a demonstration sees it: its models, its history and its clients are SQLAlchemy's and Alembic's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from demo.datasets.converted import judge_of
from demo.datasets.data_set import DataSet, Edit, Project
from demo.datasets.shop.columns import UUID_COLUMNS
from demo.datasets.shop.create import create_shop
from demo.datasets.shop.project import MODELS, alembic, copy_project
from replank.wording import counted


def _described(rows: Mapping[str, int]) -> str:
    return (
        f"`alembic upgrade head` made the shop; it is filled with {counted(sum(rows.values()), 'row')} in "
        f"{counted(len(rows), 'table')}"
    )


_BY_HAND = {
    # An annotation gives its type to every column that uses it, so only a developer knows whether all of them change.
    ("public.carriers", "id"): Edit(
        file="shop/base.py", old="mapped_column(String(36))]", new="mapped_column(Uuid(as_uuid=False))]"
    ),
    # The database's default has lost its cast.
    ("public.products", "label"): Edit(
        file="shop/models.py", old='text("(gen_random_uuid())::text")', new='text("gen_random_uuid()")'
    ),
}

SHOP = DataSet(
    name="shop",
    title="Text ids became native uuid under an application of SQLAlchemy and Alembic",
    rows=100_000,
    rate=60,
    clients=4,
    create=lambda url, rows: create_shop(url, rows=rows),
    described=_described,
    at_work=(
        "the application writes through SQLAlchemy's ORM, {rate:.0f} transactions a second; its release for the cutover"
        " is deployed: ids are sent without a type (`TextOrUuid`, docs/clients.md), which text and uuid columns take"
    ),
    schemas=("public",),
    settings={"shared_buffers": "256MB"},
    # By it `check` knows what the clients send.
    extensions=("pg_stat_statements",),
    judge=judge_of(UUID_COLUMNS),
    project=Project(models=MODELS, copy=copy_project, alembic=alembic, by_hand=_BY_HAND),
)

SHOP_UNPREPARED = replace(
    SHOP,
    name="shop_unprepared",
    title="The same application without a release for the cutover: its statements fail from the swap on",
    at_work=(
        "the application writes through SQLAlchemy's ORM, {rate:.0f} transactions a second; it was not prepared and "
        "sends ids as VARCHAR, which uuid columns refuse"
    ),
)
