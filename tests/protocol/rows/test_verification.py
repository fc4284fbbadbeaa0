"""Verification: what differs is found and repaired, or a person is called."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import built, differences, live, on, one, past
from support.runs.harness import Rebuild, table

from replank.values.states import RunState, TableState

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

PLANTED = {
    "row changed": "UPDATE replank_next.{} SET note = 'planted' WHERE n = 7",
    "row missing": "DELETE FROM replank_next.{} WHERE n = 7",
    "ghost": "INSERT INTO replank_next.{} SELECT gen_random_uuid(), -1, 'ghost'",
    "two rows exchanged": "UPDATE replank_next.{} SET n = 15 - n WHERE n IN (7, 8)",
    "key changed": "UPDATE replank_next.{} SET id = gen_random_uuid() WHERE n = 7",
    "empty": "DELETE FROM replank_next.{}",
}
NAMES = [f"t{number}" for number in range(len(PLANTED))]
PADDED = "INSERT INTO {} SELECT gen_random_uuid()::text, g, repeat('x', 500) FROM generate_series(1, %s) AS g"


def _create(app: psycopg.Connection, name: str, rows: int) -> None:
    app.execute(f"CREATE TABLE {name} (id text PRIMARY KEY, n int, note text)".encode())
    app.execute(PADDED.format(name).encode(), [rows])


def _before_verification(rebuild: Rebuild) -> None:
    rebuild.until(TableState.CATCHING_UP)
    rebuild.work("drain")


@pytest.mark.parametrize("rows", [30, 4500], ids=["one job", "many chunks"])
def test_planted_differences_are_found_repaired_and_verified_again(
    app: psycopg.Connection, begin: Begin, rows: int
) -> None:
    for name in NAMES:
        _create(app, name, rows)
    rebuild = begin(*[table(name, "id") for name in NAMES], chunk_mb=1)
    _before_verification(rebuild)
    for name, statement in zip(NAMES, PLANTED.values(), strict=True):
        app.execute(statement.format(name).encode())
        # A change that waits in the log is left out on both sides; so is the row behind it.
        on(app, name, "UPDATE {t} SET note = 'logged' WHERE n = 9")
    rebuild.ready()
    assert [one.rounds for one in rebuild.tables] == [1] * len(NAMES)
    for name in NAMES:
        assert differences(app, live(name), built(name), {"id"}) == []
    verifies = int(str(one(app, "SELECT count(*) FROM replank.job WHERE kind = 'verify' AND table_no = 1")))
    assert (verifies > 8) == (rows > 30)
    rebuild.finish()
    for name in NAMES:
        assert differences(app, past(name), live(name), {"id"}) == []


def test_a_difference_that_comes_back_calls_a_person_after_three_rounds(app: psycopg.Connection, begin: Begin) -> None:
    """Here a trigger on next spoils a row again and again; nothing is swapped."""
    _create(app, "t", 30)
    rebuild = begin(table("t", "id"))
    _before_verification(rebuild)
    app.execute(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN UPDATE replank_next.t SET note = note || '!' WHERE n = CASE OLD.n WHEN 7 THEN 8 ELSE 7 END;"
        " RETURN NULL; END $$"
    )
    app.execute("CREATE TRIGGER spoil AFTER DELETE ON replank_next.t FOR EACH ROW EXECUTE FUNCTION spoil()")
    app.execute("UPDATE replank_next.t SET note = 'planted' WHERE n = 7")
    assert rebuild.settle().state is RunState.NEEDS_OPERATOR
    assert "differ" in rebuild.why()
    assert one(app, "SELECT to_regclass('replank_past.t')") is None


def test_a_lost_snapshot_is_compared_anew(app: psycopg.Connection, begin: Begin) -> None:
    """The session that keeps it dies after the first of several chunks."""
    _create(app, "t", 6000)
    rebuild = begin(table("t", "id"), chunk_mb=1)
    rebuild.until(TableState.VERIFYING)
    waiting = rebuild.jobs("verify")
    assert len(waiting) >= 4
    rebuild.execute(waiting[0])
    assert one(
        app,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'replank snapshot 1'"
        " AND datname = current_database()",
    ) == 1  # fmt: skip
    rebuild.wait_for_end_of("replank snapshot 1")
    app.execute("DELETE FROM replank_next.t WHERE n = 7")
    app.execute("DELETE FROM t WHERE n = 8")
    rebuild.finish()
    lost = "SELECT count(*) FROM replank.job WHERE kind = 'verify' AND result ? 'snapshot_lost'"
    assert one(app, lost) == len(waiting) - 1
    assert differences(app, past("t"), live("t"), {"id"}) == []


def test_a_new_coordinator_finds_its_predecessors_snapshot_gone(app: psycopg.Connection, begin: Begin) -> None:
    _create(app, "t", 6000)
    rebuild = begin(table("t", "id"), chunk_mb=1)
    rebuild.until(TableState.VERIFYING)
    rebuild.restart_coordinator()
    rebuild.wait_for_end_of("replank snapshot 1")
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


def test_writes_between_the_chunks_do_not_look_like_differences(app: psycopg.Connection, begin: Begin) -> None:
    """All chunks see one snapshot; what is logged by then is left out, what comes later is not seen."""
    _create(app, "t", 6000)
    rebuild = begin(table("t", "id"), chunk_mb=1)
    rebuild.until(TableState.CATCHING_UP)
    rebuild.work("drain")
    app.execute("UPDATE t SET note = 'before' WHERE n % 100 = 1")
    rebuild.until(TableState.VERIFYING)
    for number, job_id in enumerate(rebuild.jobs("verify")):
        rebuild.execute(job_id)
        app.execute("UPDATE t SET note = 'during' WHERE n %% 100 = %s", [number])
        app.execute("DELETE FROM t WHERE n = %s", [number + 50])
        app.execute("INSERT INTO t VALUES (gen_random_uuid()::text, %s, 'new')", [10_000 + number])
    rebuild.ready()
    assert rebuild.table("t").rounds == 0
    rebuild.finish()
    assert differences(app, past("t"), live("t"), {"id"}) == []


def test_a_rewrite_or_truncate_between_the_chunks_is_compared_anew(app: psycopg.Connection, begin: Begin) -> None:
    for name in ("rewritten", "emptied"):
        _create(app, name, 6000)
    rebuild = begin(table("rewritten", "id"), table("emptied", "id"), chunk_mb=1)
    rebuild.until(TableState.VERIFYING)
    for job_id in rebuild.jobs("verify")[::3]:
        rebuild.execute(job_id)
    app.execute("DELETE FROM rewritten WHERE n % 2 = 0")
    app.execute("VACUUM FULL rewritten")
    app.execute("TRUNCATE emptied")
    app.execute("INSERT INTO emptied VALUES (gen_random_uuid()::text, 1, 'new')")
    rebuild.finish()
    for name in ("rewritten", "emptied"):
        assert differences(app, past(name), live(name), {"id"}) == []


ALIKE = {
    "numeric": ("numeric", "1.0", "1.00"),
    "numeric_in_array": ("numeric[]", "{1.0}", "{1.00}"),
    "jsonb_number": ("jsonb", '{"a": 1}', '{"a": 1.0}'),
    "json_space": ("json", '{"a": 1}', '{"a":1}'),
    "null_or_empty": ("text", None, ""),
    "null_or_word": ("text", None, "null"),
    "float_zero": ("float8", "0", "-0"),
    "interval": ("interval", "1 month", "30 days"),
    "time_zone": ("timetz", "12:00+00", "13:00+01"),
    "padded": ("varchar(9)", "a", "a "),
    "array_bounds": ("int[]", "{1,2}", "[0:1]={1,2}"),
    "empty_array": ("int[]", None, "{}"),
    "bits": ("bit varying(9)", "1", "10"),
    "bytes": ("bytea", "\\x00", "\\x0000"),
    "range": ("numrange", "[1.0,2.0)", "[1.00,2.0)"),
    "point": ("point", "(1,2)", "(2,1)"),
    "network": ("inet", "10.0.0.1", "10.0.0.1/24"),
    "xml": ("text", "<a/>", "<a></a>"),
    "composite": ("pair", "(1.0,a)", "(1.00,a)"),
    "domain": ("amount", "1.0", "1.00"),
    "enum": ("mood", "good", "bad"),
    "enum_array": ("mood[]", "{good}", "{good,NULL}"),
    "case": ("text", "a", "A"),
    "accent": ("text", "e\u0301", "\u00e9"),
    "microsecond": ("timestamptz", "2024-01-01 00:00:00.000001+00", "2024-01-01 00:00:00.000002+00"),
    "bounds": ("text", "ab", "a"),
    "vector": ("tsvector", "a:1", "a:2"),
    "money": ("money", "1", "1.01"),
    "boolean": ("boolean", None, "false"),
}


def test_values_that_are_equal_but_not_the_same_are_told_apart(app: psycopg.Connection, begin: Begin) -> None:
    """One row for each pair; in next stands the other value. Every one is found, repaired and verified."""
    app.execute("CREATE TYPE pair AS (x numeric, y text)")
    app.execute("CREATE DOMAIN amount AS numeric")
    app.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
    for name, (kind, value, _) in ALIKE.items():
        app.execute(f"CREATE TABLE of_{name} (id text PRIMARY KEY, v {kind}, w {kind})".encode())
        on(app, f"of_{name}", "INSERT INTO {t} VALUES (gen_random_uuid()::text, %s, NULL)", value)
    rebuild = begin(*[table(f"of_{name}", "id") for name in ALIKE])
    _before_verification(rebuild)
    for name, (_, _, other) in ALIKE.items():
        on(app, built(f"of_{name}"), "UPDATE {t} SET v = %s", other)
    app.execute("UPDATE replank_next.of_bounds SET v = 'a', w = 'b'")
    rebuild.ready()
    unnoticed = [one.spec.name for one in rebuild.tables if one.rounds != 1]
    assert unnoticed == []
    for name in ALIKE:
        assert differences(app, live(f"of_{name}"), built(f"of_{name}"), {"id"}) == []
