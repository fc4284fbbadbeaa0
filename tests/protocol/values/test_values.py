"""Values: what becomes a uuid, what does not, and what two texts that become the same uuid do.

The numbers in the names are those of the project's list of traps.
"""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import built, column_type, count, differences, live, on, one, past
from support.runs.harness import AxisName, Rebuild, add_drain, table

from replank.values.states import RunState, TableState

pytestmark = [pytest.mark.protocol, pytest.mark.core]

Begin = Callable[..., Rebuild]

U1 = "0fd00f6b-0000-4000-8000-00000000a001"
U2 = "0fd00f6b-0000-4000-8000-00000000b002"
FORMS = (
    U1.upper(),
    "{0fd00f6b-0000-4000-8000-00000000a002}",
    "0fd00f6b0000400080000000000" + "0a003",
    "0fd0-0f6b-0000-4000-8000-0000-0000-a004",
    "{0FD00F6B000040008000" + "00000000A005}",
    "0fd00f6b-0000-4000-8000-00000000a006",
)


def test_gotcha_01_every_form_that_postgres_accepts_becomes_its_uuid(app: psycopg.Connection, begin: Begin) -> None:
    """Upper case, braces, no hyphens, hyphens elsewhere; in text, varchar and padded char(n)."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, padded char(45), short varchar(40))")
    app.cursor().executemany("INSERT INTO t VALUES (%s, %s, %s)", [(form, form, form) for form in FORMS])
    rebuild = begin(table("t", "id", "padded", "short"))
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id", "padded", "short"}) == []
    assert {column_type(app, live("t"), name) for name in ("id", "padded", "short")} == {"uuid"}
    assert count(app, live("t")) == len(FORMS)


@pytest.mark.parametrize("axis", ["heap", "primary_key"])
def test_gotcha_01_a_padded_char_is_a_key_like_any_other(app: psycopg.Connection, begin: Begin, axis: AxisName) -> None:
    """char(n) compares without its padding: in the log, in the drain, in the twin search, in chunks' bounds."""
    app.execute("CREATE TABLE t (id char(50) PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 1000) AS g")
    rebuild = begin(table("t", "id", axis=axis))
    rebuild.until(TableState.COPYING)
    app.execute("UPDATE t SET n = -n WHERE n <= 5")
    app.execute("DELETE FROM t WHERE n = 6")
    app.execute("INSERT INTO t VALUES (%s, 0)", [U1])
    rebuild.ready()
    app.execute("UPDATE t SET n = 7777 WHERE id = %s", [U1])
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


def test_gotcha_01_what_postgres_rejects_stops_the_run_and_harms_nothing(app: psycopg.Connection, begin: Begin) -> None:
    rejected = {"t0": "", "t1": " " + U1, "t2": "urn:uuid:" + U1, "t3": U1[:-1], "t4": "{" + U1}
    for name, text in rejected.items():
        on(app, name, "CREATE TABLE {t} (id text PRIMARY KEY, n int)")
        on(app, name, "INSERT INTO {t} VALUES (%s, 1), (%s, 2)", U2, text)
    rebuild = begin(*[table(name, "id") for name in rejected])
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    failed = {failure.name: failure for failure in rebuild.failures()}
    for name, text in rejected.items():
        assert failed[f"public.{name}"].error_class == "value does not convert"
        assert f'"{text}"' in (failed[f"public.{name}"].message or "")
        assert count(app, live(name)) == 2


def _twins_at_start(app: psycopg.Connection) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(10, 99) AS g")


def test_gotcha_02_texts_that_are_one_uuid_from_the_start_never_swap(app: psycopg.Connection, begin: Begin) -> None:
    _twins_at_start(app)
    app.execute("INSERT INTO t VALUES (%s, 1), (%s, 2)", [U1, U1.upper()])
    rebuild = begin(table("t", "id"))
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert count(app, live("t")) == 92
    assert column_type(app, live("t"), "id") == "text"


@pytest.mark.parametrize("same_row", [False, True])
def test_gotcha_02_twins_whose_keys_are_logged_before_the_first_drain(
    app: psycopg.Connection, begin: Begin, same_row: bool
) -> None:
    """The first drain deletes both by the one uuid; with the same other values even the hashes are equal."""
    _twins_at_start(app)
    app.execute("INSERT INTO t VALUES (%s, 1)", [U1.upper()])
    rebuild = begin(table("t", "id"))
    rebuild.until(TableState.COPYING)
    rebuild.work("copy")
    app.execute("INSERT INTO t VALUES (%s, %s)", [U1, 1 if same_row else 2])
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert count(app, live("t")) == 92


SPELLINGS = {"upper": U1.upper(), "braces": "{" + U1 + "}", "bare": U1.replace("-", "")}


@pytest.mark.parametrize("late", ["odd", "canonical"])
def test_gotcha_02_a_twin_that_arrives_after_verification_stops_the_cutover(
    app: psycopg.Connection, begin: Begin, late: str
) -> None:
    """Neither may replace the other in silence; when one is gone the run goes on. A table for each spelling."""
    pairs = {name: (U1, odd) if late == "odd" else (odd, U1) for name, odd in SPELLINGS.items()}
    app.execute("CREATE TABLE expected (id uuid, n int)")
    app.execute("INSERT INTO expected VALUES (%s, 2)", [U1])
    for name, (first, _) in pairs.items():
        on(app, name, "CREATE TABLE {t} (id text PRIMARY KEY, n int)")
        on(app, name, "INSERT INTO {t} SELECT gen_random_uuid()::text, g FROM generate_series(10, 99) AS g")
        on(app, name, "INSERT INTO {t} VALUES (%s, 1)", first)
    rebuild = begin(*[table(name, "id") for name in pairs])
    rebuild.ready()
    for name, (_, second) in pairs.items():
        on(app, name, "INSERT INTO {t} VALUES (%s, 2)", second)
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    for name, (first, second) in pairs.items():
        assert f"({first}) and ({second})" in rebuild.why() or f"({second}) and ({first})" in rebuild.why()
        assert count(app, live(name)) == 92
        on(app, name, "DELETE FROM {t} WHERE id = %s", first)
    rebuild.retry()
    rebuild.finish()
    for name in pairs:
        assert differences(app, past(name), live(name), {"id"}) == []
        on(app, name, "DELETE FROM {t} WHERE n > 2")
        assert differences(app, live("expected"), live(name), set()) == []


def test_gotcha_02_two_odd_spellings_that_arrive_one_after_the_other(app: psycopg.Connection, begin: Begin) -> None:
    _twins_at_start(app)
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    app.execute("INSERT INTO t VALUES (%s, 1)", [U1.upper()])
    add_drain(rebuild, "t")
    rebuild.work("drain")
    app.execute("INSERT INTO t VALUES (%s, 2)", ["{" + U1 + "}"])
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert count(app, live("t")) == 92


def test_gotcha_02_a_twin_in_one_column_of_a_composite_key(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (a text, b int, n int, PRIMARY KEY (a, b))")
    app.execute("INSERT INTO t VALUES (%s, 1, 1), (%s, 2, 2)", [U1, U1.upper()])
    rebuild = begin(table("t", "a"))
    rebuild.ready()
    app.execute("INSERT INTO t VALUES (%s, 1, 3)", [U1.upper()])
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert "become the same uuid" in rebuild.why()
    assert count(app, live("t")) == 3


def test_gotcha_02_a_respelled_key_is_no_twin_of_its_own_past(app: psycopg.Connection, begin: Begin) -> None:
    """The row changes its spelling: one row before, one row after."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t VALUES (%s, 1), (%s, 2)", [U1.upper(), U2])
    rebuild = begin(table("t", "id"))
    rebuild.ready()
    app.execute("UPDATE t SET id = lower(id)")
    app.execute("UPDATE t SET id = '{' || id || '}' WHERE n = 2")
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


def test_gotcha_02_twins_in_a_unique_column_that_is_no_key(app: psycopg.Connection, begin: Begin) -> None:
    """The converted unique index sees them; the live table keeps both."""
    app.execute("CREATE TABLE t (id int PRIMARY KEY, token text UNIQUE)")
    app.execute("INSERT INTO t VALUES (1, %s)", [U1])
    rebuild = begin(table("t", "token"))
    rebuild.ready()
    app.execute("INSERT INTO t VALUES (2, %s)", [U1.upper()])
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert U1 in rebuild.why()
    assert column_type(app, live("t"), "token") == "text"
    app.execute("DELETE FROM t WHERE id = 1")
    rebuild.retry()
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"token"}) == []


def test_gotcha_03_the_past_table_keeps_every_spelling(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY)")
    app.cursor().executemany("INSERT INTO t VALUES (%s)", [(form,) for form in FORMS])
    begin(table("t", "id")).finish()
    kept = app.execute("SELECT id FROM replank_past.t").fetchall()
    assert {form for (form,) in kept} == set(FORMS)
    assert column_type(app, past("t"), "id") == "text"


def _bring_to(rebuild: Rebuild, state: TableState) -> None:
    if state is TableState.READY:
        rebuild.ready()
    else:
        rebuild.until(state)


@pytest.mark.parametrize(
    ("state", "many"),
    [(TableState.CAPTURED, 1), (TableState.COPYING, 1), (TableState.READY, 1), (TableState.READY, 150)],
)
def test_gotcha_04_07_bad_text_never_breaks_the_applications_write(
    app: psycopg.Connection, begin: Begin, state: TableState, many: int
) -> None:
    """Capture logs keys as they are; the drain names the value; corrected, `retry` goes on. Few changes wait
    for the cutover's own drain, many for a drain job before it."""
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t SELECT gen_random_uuid()::text, g FROM generate_series(1, 50) AS g")
    rebuild = begin(table("t", "id"))
    _bring_to(rebuild, state)
    app.execute("INSERT INTO t SELECT 'cuid_' || g, -g FROM generate_series(1, %s) AS g", [many])
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert '"cuid_' in rebuild.why()
    assert count(app, live("t")) == 50 + many
    app.execute("UPDATE t SET id = gen_random_uuid()::text WHERE id LIKE 'cuid%'")
    rebuild.retry()
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []
    assert count(app, live("t")) == 50 + many


def test_gotcha_04_a_bad_key_that_comes_and_goes_is_nothing(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, n int)")
    app.execute("INSERT INTO t VALUES (%s, 1)", [U1])
    rebuild = begin(table("t", "id"))
    for state in (TableState.COPYING, TableState.READY):
        _bring_to(rebuild, state)
        app.execute("INSERT INTO t VALUES ('master', 0)")
        app.execute("DELETE FROM t WHERE id = 'master'")
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


def test_gotcha_05_null_stays_null(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE t (id text PRIMARY KEY, parent text, note text)")
    app.execute("INSERT INTO t VALUES (%s, NULL, NULL), (%s, %s, '')", [U1, U2, U1])
    rebuild = begin(table("t", "id", "parent"))
    rebuild.ready()
    app.execute("UPDATE t SET parent = CASE WHEN parent IS NULL THEN %s END", [U2])
    app.execute("INSERT INTO t VALUES (gen_random_uuid()::text, NULL, NULL)")
    assert one(app, "SELECT count(*) FROM replank_next.t WHERE parent IS NULL") == 1
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id", "parent"}) == []
    assert one(app, "SELECT count(*) FROM t WHERE parent IS NULL") == 2
    assert one(app, "SELECT count(*) FROM t WHERE note = ''") == 1


def test_gotcha_25_both_ends_of_a_foreign_key_switch_at_once(app: psycopg.Connection, begin: Begin) -> None:
    """uuid = text has no operator: no reader may ever see one of them alone."""
    app.execute("CREATE TABLE p (id text PRIMARY KEY)")
    app.execute("CREATE TABLE c (id int PRIMARY KEY, p_id text REFERENCES p)")
    app.execute("INSERT INTO p VALUES (%s)", [U1])
    app.execute("INSERT INTO c VALUES (1, %s)", [U1])
    rebuild = begin(table("p", "id"), table("c", "p_id"))
    rebuild.ready()
    assert len(rebuild.sets) == 1
    assert differences(app, live("c"), built("c"), {"p_id"}) == []
    rebuild.finish()
    assert (column_type(app, live("p"), "id"), column_type(app, live("c"), "p_id")) == ("uuid", "uuid")
    assert one(app, "SELECT convalidated FROM pg_constraint WHERE conname = 'c_p_id_fkey' AND conrelid = 'c'::regclass")
