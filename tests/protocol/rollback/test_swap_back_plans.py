"""The way back looks its rows up by the past key's index, whatever collation the key has."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.oracles.returning import go_back
from support.runs.harness import Rebuild, table

from producer.rollback.prepare import read_set
from sql.ledger.runs import runs
from sql.ledger.tables import conversion_sets
from sql.rollback.original_texts import build_original_texts, places
from sql.rollback.table_pair import logged_past
from sql.rows.change_log import FEW_KEYS
from sql.session.connection import apply_settings
from sql.session.statements import execute

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]


@pytest.mark.parametrize("collation", ["default", "C", "POSIX"])
def test_past_rows_are_found_by_their_index(app: psycopg.Connection, begin: Begin, collation: str) -> None:
    column = SQL("CREATE TABLE keyed (id text COLLATE {} PRIMARY KEY, n int)").format(Identifier(collation))
    app.execute(column)
    app.execute(
        "INSERT INTO keyed SELECT CASE WHEN g % 7 = 0 THEN upper(id) ELSE id END, g"
        " FROM generate_series(1, 3000) AS g, LATERAL (SELECT md5(g::text)::uuid::text AS id) AS made"
    )
    app.execute("ANALYZE keyed")
    before = app.execute("SELECT id, n FROM keyed ORDER BY n").fetchall()
    rebuild = begin(table("keyed", "id"))
    rebuild.finish()
    app.execute("UPDATE keyed SET n = -n WHERE n % 30 = 0")

    connection = rebuild.connection
    run = runs.read_run(connection, rebuild.run_id)
    (one,) = conversion_sets.read_sets(connection, run.run_id)
    (pair,) = read_set(connection, run, one).pairs
    with connection.transaction(force_rollback=True):
        where = places([pair.spec], one.foreign_keys)
        execute(connection, build_original_texts(connection, [pair.spec], where, set_no=one.set_no))
        apply_settings(connection, FEW_KEYS, local=True)
        found = connection.execute(
            SQL("EXPLAIN (COSTS OFF) SELECT past.n FROM {}").format(logged_past(connection, pair))
        ).fetchall()
    plan = "\n".join(str(next(iter(line.values()) if isinstance(line, dict) else iter(line))) for line in found)
    assert "keyed_pkey on keyed past" in plan, plan
    assert "Seq Scan on keyed past" not in plan

    go_back(rebuild)
    after = app.execute("SELECT id, n FROM keyed ORDER BY abs(n)").fetchall()
    assert after == [(id_, -n if n % 30 == 0 else n) for id_, n in before]
