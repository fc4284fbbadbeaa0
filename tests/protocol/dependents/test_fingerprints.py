"""Many tables are fingerprinted in as many statements as one, and each is what it is alone."""

from __future__ import annotations

import psycopg
import pytest
from support.runs.harness import Url
from support.runs.statements import listening_to

from sql.catalogue import fingerprints
from sql.catalogue.definition_hashes import read_definitions
from sql.session.connection import Connection, connect

pytestmark = pytest.mark.protocol

PARTITIONED = """
CREATE TABLE sales (id text, day date NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE sales_25 PARTITION OF sales FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE sales_26 PARTITION OF sales FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (day);
CREATE TABLE sales_26_first PARTITION OF sales_26 FOR VALUES IN ('2026-01-01');
CREATE VIEW of_25 AS SELECT id FROM sales_25;
CREATE VIEW of_both AS SELECT s.id FROM sales s JOIN sales_26 USING (id);
CREATE TABLE typed_by (one sales_25);
"""


def _oids(connection: Connection) -> list[int]:
    """Of every table that is no partition."""
    asked = """SELECT oid::bigint FROM pg_class
     WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = 'public'::regnamespace ORDER BY relname"""
    return [oid for (oid,) in connection.execute(asked)]


def test_each_of_many_is_what_it_is_alone(database: Url, everything: None, app: psycopg.Connection) -> None:
    del everything
    app.execute(PARTITIONED)
    with connect(database, name="test") as connection:
        oids = _oids(connection)
        together = fingerprints.shapes(connection, oids)
        assert together == [fingerprints.shape(connection, oid) for oid in oids]
        assert len(set(together)) == len(oids)
        lost = fingerprints.not_carried(connection, oids)
        assert lost == {oid: fingerprints.not_carried(connection, [oid])[oid] for oid in oids}
        of_sales = dict(zip(oids, together, strict=True))[_oid(connection, "sales")]
        assert [line.rpartition(" ")[0] for line in of_sales.splitlines()[2:]] == [
            "view public.of_25",
            "view public.of_both",
        ]
        assert "use of the row type" in of_sales.splitlines()[1]
        assert "(of partition public.sales_25)" in of_sales.splitlines()[1]


def test_many_take_no_more_statements_than_one(database: Url, family: psycopg.Connection) -> None:
    family.execute(PARTITIONED)
    with connect(database, name="test") as connection:
        oids = _oids(connection)
        assert len(oids) > 5
        with listening_to(connection) as said:
            fingerprints.shapes(connection, oids[:1])
            of_one = len(said.forget())
            fingerprints.shapes(connection, oids)
            assert len(said.forget()) == of_one == 7
            read_definitions(connection, ["public"])
            assert len(said.forget()) == 3


def _oid(connection: Connection, name: str) -> int:
    (found,) = connection.execute("SELECT %s::regclass::oid::bigint", [f"public.{name}"]).fetchall()
    return int(found[0])
