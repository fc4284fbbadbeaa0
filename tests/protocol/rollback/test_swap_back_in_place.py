"""Tables that were filled in place: they have no past table, so what was put in is taken out again."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from support.oracles.journal_oracle import diff_catalogue, snapshot_catalogue
from support.oracles.oracle import one
from support.oracles.returning import everything_left, go_back
from support.runs.harness import Rebuild, Url, table

from replank.errors import WrongUse

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

DOC: dict[str, Any] = {
    "method": "backfill",
    "fill": [
        {"name": "at", "value": "timestamptz '2019-05-05 00:00Z'", "default": "now()", "not_null": True},
        {"name": "sure", "value": "'?'", "not_null": True, "on_update": "'!'"},
    ],
    "add": [
        {"name": "by", "type": "text", "value": "'nobody'"},
        {"name": "public_id", "type": "uuid", "default": "gen_random_uuid()", "not_null": True, "unique": True},
    ],
}


@pytest.fixture
def docs(app: psycopg.Connection) -> None:
    app.execute("CREATE TABLE doc (id int PRIMARY KEY, at timestamptz DEFAULT '2000-01-01', sure text NOT NULL, n int)")
    app.execute(
        "INSERT INTO doc SELECT g, CASE WHEN g % 3 = 0 THEN timestamptz '2020-01-01' END, 'yes', g"
        " FROM generate_series(1, 500) AS g"
    )


@pytest.mark.usefixtures("docs")
def test_what_was_filled_in_place_is_taken_out_after_the_end(
    app: psycopg.Connection, begin: Begin, database: Url
) -> None:
    before = snapshot_catalogue(database, ["public"])
    rebuild = begin(table("doc", **DOC))
    rebuild.finish()
    assert one(app, "SELECT count(*) FROM doc WHERE at IS NULL OR by IS NULL OR public_id IS NULL") == 0
    # What the application writes afterwards stays: a value of its own, and a new row.
    app.execute("UPDATE doc SET at = '2024-04-04' WHERE n = 1")
    app.execute("INSERT INTO doc (id, sure, n) VALUES (1000, 'new', 1000)")
    go_back(rebuild)
    assert diff_catalogue(before, snapshot_catalogue(database, ["public"])) == []
    seen = app.execute("SELECT n, at IS NULL FROM doc WHERE n IN (1, 2, 3, 1000) ORDER BY n").fetchall()
    assert seen == [(1, False), (2, True), (3, False), (1000, False)]
    assert one(app, "SELECT count(*) FROM doc WHERE at IS NULL") == 500 - 166 - 1
    assert everything_left(app) == []


@pytest.mark.usefixtures("docs")
def test_without_what_was_remembered_it_is_refused(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = begin(table("doc", **DOC), reverse_capture=False)
    rebuild.finish()
    with pytest.raises(WrongUse, match="reverse_capture = false"):
        go_back(rebuild)
    assert one(app, "SELECT count(*) FROM doc WHERE by = 'nobody'") == 500
