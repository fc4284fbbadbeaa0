"""`replank inspect --models`: the models and the live catalogue, and what only one of them knows."""

from pathlib import Path

import psycopg
import pytest
from support.runs.programs import Replank

from alembic_history.shop_run import make_shop

pytestmark = pytest.mark.alembic


def test_models_and_tables_are_joined_and_what_one_side_knows_is_said(database: str, tmp_path: Path) -> None:
    application = make_shop(database, tmp_path)
    with psycopg.connect(database) as app:
        app.execute("CREATE TABLE stray (id int PRIMARY KEY)")
        app.execute("DROP TABLE api_keys")
        app.execute("ALTER TABLE users ADD COLUMN last_seen timestamptz")
    given = ("--models", "shop.models:Base.metadata", "--env", f"PYTHONPATH={application}")
    said = Replank(database_url=database, broker_url="")("inspect", *given, "--out", str(tmp_path / "p.toml"), "--json")
    assert said.status == 0, said.words
    tables = {one["table"]: one for one in said.document["models"]["tables"]}
    assert len(tables) == 15
    assert tables["users"]["models"] == ["shop.models.User"]
    assert tables["product_tags"]["models"] == []
    assert [name for name, one in tables.items() if not one["found"]] == ["api_keys"]
    assert said.document["models"]["without_model"] == [{"schema": "public", "table": "stray"}]
    assert tables["users"]["mismatches"] == ["column last_seen (timestamp with time zone): the model has none"]
    # A relationship that the database has no foreign key for, and columns that hold uuids without any key
    keyless = [one for table in tables.values() for one in table["keyless"]]
    of_lines = [one for one in keyless if one["model"] in ("shop.models.Order", "shop.models.OrderLine")]
    assert [one["name"] for one in of_lines] == ["lines", "order"]
    assert {end for one in of_lines for end in (tuple(one["column"]), tuple(one["to"]))} == {
        ("public", "order_lines", "order_id"),
        ("public", "orders", "id"),
    }
    # And those of a table that is not there
    others = {(one["model"], one["name"]) for one in keyless if one not in of_lines}
    assert others == {("shop.models.User", "api_keys"), ("shop.models.ApiKey", "user")}
    assert tables["events"]["texts_of_uuids"] == ["subject_id"]
    assert "label" in tables["products"]["texts_of_uuids"]
    assert tables["shelves"]["python_defaults"] == {"id": "shop.models.new_id"}
    assert "lambda: str(uuid4())" in tables["users"]["python_defaults"]["id"]
    assert "order has no foreign key: public.order_lines.order_id -> public.orders.id" in said.words
    assert "NO TABLE public.api_keys" in said.words
