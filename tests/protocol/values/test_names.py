"""No name of ours meets a name of theirs: columns that are called as generated statements call their own things."""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Composable, Identifier, Literal
from support.oracles.oracle import count, differences, live, one, past
from support.oracles.returning import everything_left, go_back, keep, unlike
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Url, table
from support.schemas.names import KEYS, OTHERS

from protocol.caches.cached_shop import begin as begin_cached
from protocol.caches.cached_shop import until
from replank.errors import NeedsOperator
from replank.values.states import TableState
from sql.quarantine.release import Corrected, Correction, correct

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

CONVERTED = ("new", "k1", "found", "user", "per%cent", "x" * 63)
WROTE = (TableState.CAPTURED, TableState.COPYING, TableState.INDEXING, TableState.READY)


def _names(names: Sequence[str], prefix: str = "") -> Composable:
    return SQL(", ").join(SQL(prefix) + Identifier(name) for name in names)


def _create(app: psycopg.Connection, name: str, *, parted: bool = False) -> None:
    columns = SQL(", ").join(Identifier(each) + SQL(" text") for each in (*KEYS, *OTHERS))
    by = SQL("PARTITION BY HASH (found)" if parted else "")
    app.execute(SQL("CREATE TABLE {} ({}, PRIMARY KEY ({})) {}").format(Identifier(name), columns, _names(KEYS), by))
    for number in range(2 if parted else 0):
        app.execute(
            SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES WITH (MODULUS 2, REMAINDER {})").format(
                Identifier(f"{name}_{number}"), Identifier(name), number
            )
        )
    _insert(app, name, 1, 60)


def _insert(app: psycopg.Connection, name: str, first: int, last: int, *, uuids: bool = False) -> None:
    made = SQL("gen_random_uuid()" if uuids else "gen_random_uuid()::text")
    values = SQL(", ").join(made if each in CONVERTED else SQL("g::text") for each in (*KEYS, *OTHERS))
    app.execute(
        SQL("INSERT INTO {} ({}) SELECT {} FROM generate_series({}, {}) AS g").format(
            Identifier(name), _names((*KEYS, *OTHERS)), values, first, last
        )
    )


def _write(app: psycopg.Connection, name: str, at: int, *, uuids: bool = False) -> int:
    """Rows come, go, change, and change their keys, each by its own statement. Returns how many statements."""
    _insert(app, name, at, at + 9, uuids=uuids)
    new = SQL("gen_random_uuid()" if uuids else "gen_random_uuid()::text")
    statements = (
        "UPDATE {t} SET tg_op = 'moved', k2 = k2 || '!', \"user\" = {new} WHERE n = {n0}",
        "UPDATE {t} SET found = {new}, \"order\" = 'changed' WHERE n = {n1}",
        "UPDATE {t} SET new = {new}, new_rows = 'x' WHERE n = {n2}",
        "DELETE FROM {t} WHERE n = {n3}",
    )
    for statement in statements:
        app.execute(
            SQL(statement).format(t=Identifier(name), new=new, **{f"n{k}": Literal(str(at + k)) for k in range(4)})
        )
    return 1 + len(statements)


@pytest.mark.attack("D1", "columns of keys called new, old, found, tg_op, log, k1 … through a run and its rollback")
def test_a_run_there_and_back(app: psycopg.Connection, begin: Begin, attack: Attack) -> None:
    """By statements and by rows, by blocks and by keys, with the plan's own expressions over such columns."""
    tables = {"plain": False, "live": True, "new": False}
    for name, parted in tables.items():
        _create(app, name, parted=parted)
    app.execute("CREATE TABLE log (w text PRIMARY KEY, k1 int)")
    app.execute("INSERT INTO log SELECT g::text, g FROM generate_series(1, 400) AS g")
    joined: dict[str, Any] = {
        "join": [{"name": "log", "query": "SELECT w, k1 AS number FROM public.log", "on": "log.w = live.n"}],
        "add": [
            {"name": "added", "type": "text", "value": "coalesce(truncated, '') || k2 || hash"},
            {"name": "number", "type": "int", "value": "log.number"},
        ],
    }
    rebuild = begin(
        table("plain", *CONVERTED, axis="primary_key"),
        table("live", *CONVERTED),
        table("new", *CONVERTED, axis="heap", **joined),
    )
    written = 0
    for number, state in enumerate(WROTE, start=1):
        rebuild.until(state)
        written += sum(_write(app, name, 100 * number) for name in tables)
    before = {name: count(app, live(name)) for name in tables}
    rebuild.finish()
    for name in tables:
        assert differences(app, past(name), live(name), CONVERTED) == []
        assert count(app, live(name)) == before[name]
    assert one(app, "SELECT count(*) FROM new LEFT JOIN log ON w = n WHERE number IS DISTINCT FROM log.k1") == 0
    assert one(app, "SELECT count(*) FROM new WHERE added <> truncated || k2 || hash") == 0
    # And back, with what was written since
    for name in tables:
        written += _write(app, name, 900, uuids=True)
        keep(app, live(name), name)
    go_back(rebuild)
    texts = [SQL("t.{}::text").format(Identifier(each)).as_string(None) for each in (*KEYS, *OTHERS)]
    for name in tables:
        assert unlike(app, live(name), name, texts) == []
    assert everything_left(app) == []
    attack.record(
        "the application wrote on; both ways equal", tried=len(KEYS) + len(OTHERS), acknowledged=written, lost=0
    )


IN_PLACE: dict[str, Any] = {
    "method": "backfill",
    "join": [{"name": "old", "query": "SELECT w, found AS number FROM public.noted", "on": "old.w = live.n"}],
    "add": [
        {"name": "tg_level", "type": "text", "value": "coalesce(found, '') || tg_op || new || old.number"},
        {"name": "tg_when", "type": "int", "default": "1", "not_null": True, "on_update": "OLD.tg_when + 1"},
    ],
    "fill": [{"name": "row", "value": "live.tg_name || tg_name || new_rows"}],
}


def test_in_place_there_and_back(app: psycopg.Connection, begin: Begin) -> None:
    """The function that fills new rows evaluates the plan's expressions: `found` is the column there, too."""
    _create(app, "filled")
    app.execute('UPDATE filled SET "row" = NULL WHERE n::int % 2 = 0')
    app.execute("CREATE TABLE noted (w text PRIMARY KEY, found int)")
    app.execute("INSERT INTO noted SELECT g::text, g FROM generate_series(1, 400) AS g")
    rebuild = begin(table("filled", **IN_PLACE))
    for number, state in enumerate((TableState.EXTENDED, TableState.BACKFILLING), start=1):
        rebuild.until(state)
        _write(app, "filled", 100 * number)
        assert (
            one(app, "SELECT count(*) FROM filled WHERE n::int >= 100 AND (tg_level IS NULL OR tg_when IS NULL)") == 0
        )
    rebuild.finish()
    # A row that is changed keeps what it was given when it came.
    wrong = (
        "SELECT count(*) FROM filled JOIN noted ON w = n WHERE tg_level <> filled.found || tg_op || new || noted.found"
        " AND tg_op <> 'moved' AND new_rows <> 'x' AND \"order\" <> 'changed'"
    )
    assert one(app, wrong) == 0
    assert one(app, 'SELECT count(*) FROM filled WHERE "row" IS NULL OR tg_level IS NULL') == 0
    app.execute("UPDATE filled SET \"end\" = 'x' WHERE n = '7'")
    assert one(app, "SELECT tg_when FROM filled WHERE n = '7'") == 2
    go_back(rebuild)
    assert one(app, 'SELECT count(*) FROM filled WHERE "row" IS NULL') > 0
    assert everything_left(app) == []


def test_rows_kept_aside_are_corrected(app: psycopg.Connection, begin: Begin) -> None:
    """A correction's statement has a name for what it was given, and `given` is a column too."""
    _create(app, "kept")
    app.execute("UPDATE kept SET \"user\" = 'no uuid' WHERE n = '3'")
    planned = {"name": "user", "to": "uuid", "on_invalid": "quarantine"}
    rebuild = begin(table("kept", columns=[planned]))
    rebuild.ready()
    spec = rebuild.spec("kept")
    key = app.execute(SQL("SELECT {} FROM kept WHERE n = '3'").format(_names(KEYS))).fetchone()
    assert key is not None
    good = "0fd00f6b-0000-4000-8000-000000000001"
    one_line = Correction(spec=spec, key=key, before={"user": "no uuid"}, values={"user": good})
    assert correct(rebuild.connection, [one_line]) == [Corrected.DONE]
    rebuild.finish()
    assert one(app, "SELECT \"user\"::text FROM kept WHERE n = '3'") == good
    assert count(app, live("kept")) == 60


@pytest.mark.parametrize("parted", [False, True])
def test_marks_of_a_cache(app: psycopg.Connection, database: Url, *, parted: bool) -> None:
    """What marks changed rows says whose they are by a column of the application's."""
    _create(app, "source", parted=parted)
    app.execute("CREATE TABLE cache (tg_op text PRIMARY KEY, rows bigint)")
    cached = {
        "kind": "table",
        "name": "cache",
        "query": "SELECT tg_op, count(*) AS rows FROM public.source GROUP BY tg_op",
        "chunk_by": "tg_op",
        "keep_in_step": ["public.source"],
    }
    rebuild = begin_cached(database, cached)
    try:
        until(rebuild, "ready")
        _write(app, "source", 100)
        rebuild.finish()
        wanted = app.execute("SELECT tg_op, count(*) FROM source GROUP BY tg_op ORDER BY 1").fetchall()
        assert app.execute("SELECT * FROM cache ORDER BY 1").fetchall() == wanted
    finally:
        rebuild.close()


def test_the_name_that_on_update_needs_may_be_taken(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("CREATE FUNCTION t_on_update() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    planned = table("t", "id", add=[{"name": "revision", "type": "int", "default": "1", "on_update": "1"}])
    with pytest.raises(NeedsOperator, match=r"name_taken public.t: the function public.t_on_update\(\) already exists"):
        begin(planned)
    app.execute("DROP FUNCTION t_on_update()")
    begin(planned).finish()
