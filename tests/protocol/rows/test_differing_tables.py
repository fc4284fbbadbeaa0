"""Tables that differ are all named, each with a few keys, by `verify`, `finish` and `rollback`."""

from collections.abc import Callable

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.oracles.returning import go_back
from support.runs.harness import Rebuild, table

from producer.cli.verify import table_words
from producer.rollback.compare import compare_tables
from producer.rollback.retained_proof import refuse_unproved
from replank.errors import NeedsOperator
from replank.values.states import TableState

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]


def _two_sets(app: psycopg.Connection, begin: Begin) -> Rebuild:
    for name in ("t", "u"):
        app.execute(SQL("CREATE TABLE {} (id text PRIMARY KEY, n int)").format(Identifier(name)))
        rows = "INSERT INTO {} SELECT gen_random_uuid(), g FROM generate_series(1, 30) AS g"
        app.execute(SQL(rows).format(Identifier(name)))
    return begin(table("t", "id"), table("u", "id"))


def _spoil(app: psycopg.Connection, schema: str) -> tuple[str, list[str]]:
    """One row of t is another, and eight of u are gone. Returns the keys, t's first."""
    change = SQL("UPDATE {} SET n = -1 WHERE n = 7 RETURNING id::text").format(Identifier(schema, "t"))
    remove = SQL("DELETE FROM {} WHERE n <= 8 RETURNING id::text").format(Identifier(schema, "u"))
    (one,) = app.execute(change).fetchall()
    gone = app.execute(remove).fetchall()
    return one[0], [key for (key,) in gone]


def _names_both(words: str, changed: str, gone: list[str]) -> None:
    assert "public.t" in words
    assert "public.u" in words
    assert changed in words
    assert 3 <= sum(key in words for key in gone) <= 5


def test_before_the_swap(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = _two_sets(app, begin)
    rebuild.until(TableState.READY)
    changed, gone = _spoil(app, "replank_next")
    t, u = compare_tables(rebuild.connection, rebuild.run)
    assert (t.mismatches, u.mismatches) == (1, 8)
    assert t.keys == (f"({changed})",)
    assert len(u.keys) == 5
    assert {key.strip("()") for key in u.keys} <= set(gone)
    assert t.to_json()["keys"] == [f"({changed})"]
    assert table_words(t) == f"public.t: 30 rows against 30: 1 key differs: ({changed})"
    assert table_words(u).endswith("and 3 more")
    assert "8 keys differ" in table_words(u)


def test_finish_and_rollback_name_every_table_with_keys(app: psycopg.Connection, begin: Begin) -> None:
    rebuild = _two_sets(app, begin)
    rebuild.finish()
    changed, gone = _spoil(app, "replank_past")
    t, u = compare_tables(rebuild.connection, rebuild.run)
    assert changed in t.keys[0]
    assert len(u.keys) == 5
    with pytest.raises(NeedsOperator) as raised:
        refuse_unproved(rebuild.connection, rebuild.run, lambda _: None)
    _names_both(str(raised.value), changed, gone)
    assert "public.t: 1 key differs between" in str(raised.value)
    assert "public.u: 8 keys differ between" in str(raised.value)
    with pytest.raises(NeedsOperator) as raised:
        go_back(rebuild)
    _names_both(str(raised.value), changed, gone)
    assert "Nothing was swapped back" in str(raised.value)


def test_it_says_how_many_rows_were_not_compared(app: psycopg.Connection, begin: Begin) -> None:
    """A row that was written since the cutover is in the log for the way back, once however often it was written."""
    rebuild = _two_sets(app, begin)
    rebuild.until(TableState.READY)
    app.execute("UPDATE t SET n = n + 100 WHERE n <= 2")
    t, u = compare_tables(rebuild.connection, rebuild.run)
    assert (t.keys_left_out, u.keys_left_out, t.since_cutover) == (2, 0, False)
    assert table_words(t) == ("public.t: 28 rows against 28: equal; 2 changed rows not compared until the next drain")
    assert table_words(u) == "public.u: 30 rows against 30: equal"
    rebuild.finish()
    for _ in range(2):
        app.execute("UPDATE t SET n = n WHERE n BETWEEN 3 AND 7")
    app.execute("INSERT INTO t VALUES (gen_random_uuid(), 500)")
    said: list[str] = []
    t, u = compare_tables(rebuild.connection, rebuild.run)
    refuse_unproved(rebuild.connection, rebuild.run, said.append)
    document = t.to_json()
    assert (document["keys_left_out"], document["since_cutover"], document["mismatches"]) == (6, True, 0)
    assert table_words(t).endswith(": equal; 6 rows written since the cutover are not compared")
    assert table_words(u).endswith(": equal; no row was written since the cutover")
    assert said[0].endswith("; 6 rows written since the cutover are not compared")
    app.execute("TRUNCATE u")
    assert compare_tables(rebuild.connection, rebuild.run)[1].keys_left_out is not None
