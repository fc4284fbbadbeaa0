"""Foreign keys that do not compare by plain `=`: a row that has its parent has it there and back.

PostgreSQL itself judges: it validates every foreign key, and the judge's joins use the columns' own operators.
"""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import count, differences, live, one, past
from support.oracles.returning import go_back, keep, unlike
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, Table, Url, table

from producer.check.check import examine
from producer.planning.prepared_run import prepare_run
from producer.planning.resolution import PlanFile
from protocol.rows.test_told_apart import loose as loose
from protocol.rows.test_told_apart import server as server
from replank.errors import WrongUse
from replank.plan.plan import DatabasePlan, Plan
from sql.session.connection import connect

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]

PERIODS = """
CREATE EXTENSION btree_gist;
CREATE TABLE stay (room text, during daterange, note text, PRIMARY KEY (room, during WITHOUT OVERLAPS));
CREATE TABLE booking (id int, room text, at daterange, note text, PRIMARY KEY (id, at WITHOUT OVERLAPS),
  FOREIGN KEY (room, PERIOD at) REFERENCES stay (room, PERIOD during));
"""
NO_PERIODS = """
CREATE TABLE stay (room text, during daterange, note text, PRIMARY KEY (room, during));
CREATE TABLE booking (id int, room text, at daterange, note text, PRIMARY KEY (id, at));
"""
"""Before version 18 there are none; the two tables must go there and back all the same."""
ROOMS = """
INSERT INTO stay SELECT md5(n::text)::uuid::text, daterange(day, day + 10), 'a'
  FROM generate_series(1, 10) AS n, unnest('{2026-01-01,2026-01-11,2026-01-21}'::date[]) AS day;
-- Each over the border of two stays.
INSERT INTO booking SELECT n, md5(n::text)::uuid::text, '[2026-01-05,2026-01-15)', 'a' FROM generate_series(1, 10) AS n
"""
WRITES = """
UPDATE stay SET note = 'b' WHERE room = {one};
INSERT INTO stay VALUES ({one}, '[2026-02-01,2026-03-01)', 'new');
INSERT INTO booking VALUES ({n} * 20, {one}, '[2026-02-03,2026-02-05)', 'new'),
  ({n} * 20 + 1, {one}, '[2026-01-02,2026-01-29)', 'new'), ({n} * 20 + 2, NULL, '[2026-01-02,2026-01-29)', 'none');
UPDATE booking SET room = {other}, at = '[2026-01-06,2026-01-07)' WHERE id = {n};
DELETE FROM booking WHERE id = {n} + 2
"""


def valid(app: psycopg.Connection) -> bool:
    """Whether every foreign key counts as valid and PostgreSQL finds nothing when it validates it again."""
    keys = app.execute(
        "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid), convalidated"
        " FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    ).fetchall()
    with app.transaction(force_rollback=True):
        for name, key, said, _ in keys:
            app.execute(f"ALTER TABLE {name} DROP CONSTRAINT {key}, ADD CONSTRAINT {key} {said}".encode())
    return keys != [] and all(validated for *_, validated in keys)


@pytest.mark.attack("C3", "Foreign keys with PERIOD, there and back")
@pytest.mark.parametrize("written", [False, True])
def test_periods_go_there_and_back(app: psycopg.Connection, begin: Begin, written: bool, attack: Attack) -> None:
    periods = app.info.server_version >= 180_000
    app.execute((PERIODS if periods else NO_PERIODS).encode())
    app.execute(ROOMS)
    rebuild = begin(table("stay", "room"), table("booking", "room"))
    rebuild.ready()
    if written:
        _write(app, 1, "text")
    rebuild.swap()
    for name in ("stay", "booking"):
        assert differences(app, past(name), live(name), {"room"}) == []
    rebuild.finish()
    if written:
        _write(app, 2, "uuid")
    assert valid(app) == periods
    for name in ("stay", "booking"):
        keep(app, live(name), name)
    go_back(rebuild)
    for name in ("stay", "booking"):
        assert unlike(app, live(name), name, ["to_jsonb(t)"]) == []
    assert valid(app) == periods
    assert count(app, live("booking")) == (14 if written else 10)
    attack.record("swapped, and rolled back", lost=0)


def _write(app: psycopg.Connection, n: int, kind: str) -> None:
    """Stays and bookings come, move and go, in one transaction."""
    rooms = {"one": f"md5('{n}')::uuid::{kind}", "other": f"md5('{n + 5}')::uuid::{kind}"}
    with app.transaction():
        app.execute(WRITES.format(n=n, **rooms).encode())


FOLDED = """
CREATE SCHEMA shared; CREATE EXTENSION citext SCHEMA shared;
CREATE TABLE account (email shared.citext PRIMARY KEY, ref text, note text);
CREATE TABLE login (id int PRIMARY KEY, email shared.citext REFERENCES account ON UPDATE CASCADE, ref text);
CREATE TABLE plain (name text COLLATE "C" PRIMARY KEY, ref text);
CREATE TABLE guest (id int PRIMARY KEY, name varchar(40) COLLATE "ucs_basic" REFERENCES plain,
  nick shared.citext REFERENCES plain, ref text);
INSERT INTO account SELECT 'User' || n, gen_random_uuid(), '' FROM generate_series(1, 20) AS n;
INSERT INTO login SELECT n, upper('User' || n), gen_random_uuid() FROM generate_series(1, 20) AS n;
INSERT INTO plain SELECT 'User' || n, gen_random_uuid() FROM generate_series(1, 20) AS n;
INSERT INTO guest SELECT n, 'User' || n, 'User' || n, gen_random_uuid() FROM generate_series(1, 20) AS n
"""
NAMES = ("account", "login", "plain", "guest")


@pytest.mark.contrib
@pytest.mark.attack(
    "C3", "Foreign keys over citext in another case, and over columns of two collations, there and back"
)
def test_references_in_another_case_go_there_and_back(app: psycopg.Connection, begin: Begin, attack: Attack) -> None:
    app.execute(FOLDED.encode())
    for written in (False, True):
        for name in NAMES:
            keep(app, live(name), f"{name}_{written}")
        rebuild = begin(*[table(name, "ref") for name in NAMES])
        rebuild.ready()
        if written:
            app.execute("UPDATE account SET email = lower(email::text) WHERE note = ''")
            app.execute("UPDATE login SET email = 'uSeR3' WHERE id = 4")
        rebuild.finish()
        if written:
            app.execute("UPDATE account SET email = upper(email::text), note = 'up' WHERE email::text LIKE '%5'")
            app.execute("UPDATE login SET email = 'usER9' WHERE id = 5")
            app.execute("INSERT INTO guest VALUES (21, 'User7', 'User8', NULL)")
        for name in NAMES:
            keep(app, live(name), f"now_{name}_{written}")
        go_back(rebuild)
        rebuild.close()
        for name in NAMES:
            assert unlike(app, live(name), f"now_{name}_{written}", ["to_jsonb(t)"]) == []
            if not written:
                assert unlike(app, live(name), f"{name}_{written}", ["t.*"]) == []
        assert valid(app)
        attack.record("swapped, and rolled back", lost=0)


BLANKS = """
CREATE TABLE code (id char(40) PRIMARY KEY, n int);
CREATE TABLE uses (id text PRIMARY KEY, code text NOT NULL REFERENCES code);
CREATE TABLE uses_again (id int PRIMARY KEY, uses_code varchar(60) NOT NULL);
ALTER TABLE uses ADD CONSTRAINT whole UNIQUE (code);
ALTER TABLE uses_again ADD FOREIGN KEY (uses_code) REFERENCES uses (code);
INSERT INTO code SELECT CASE WHEN n % 4 = 0 THEN md5(n::text)::uuid::text ELSE 'code ' || n END, n
  FROM generate_series(1, 20) AS n;
INSERT INTO uses SELECT gen_random_uuid(), rtrim(id::text) || repeat(' ', n % 3) FROM code;
INSERT INTO uses_again SELECT row_number() OVER (), code FROM uses
"""
FOUND = """
SELECT (SELECT count(*) FROM uses u JOIN code c ON c.id = u.code),
  (SELECT count(*) FROM uses_again a JOIN uses u ON u.code = a.uses_code)
"""
BY_NAME = {"to": "uuid", "on_invalid": "name_based"}


def _named(name: str, *columns: str, **more: str) -> Table:
    # The judge's copies hold the same texts, and stay as they are.
    said = [{"name": column, **BY_NAME, "consent": ["dangling_references"]} for column in columns]
    return table(name, columns=[*said, *({"name": column, "to": "uuid"} for column in more.values())])


@pytest.mark.attack("C4", "Texts that refer to char keys with blanks at their ends, made uuids by name")
def test_blanks_that_a_char_does_not_see_make_no_other_uuid(
    app: psycopg.Connection, begin: Begin, attack: Attack
) -> None:
    app.execute(BLANKS.encode())
    for name in ("code", "uses", "uses_again"):
        keep(app, live(name), name)
    # Without the other tables nothing joins it with a char.
    rebuild = begin(_named("code", "id"), _named("uses", "code", other="id"), _named("uses_again", "uses_code"))
    rebuild.ready()
    app.execute("INSERT INTO code VALUES ('late', 21); INSERT INTO uses VALUES (gen_random_uuid(), 'late   ')")
    app.execute("INSERT INTO uses_again VALUES (21, 'late   ')")
    app.execute("UPDATE uses_again SET id = -id WHERE id % 2 = 0")
    rebuild.finish()
    assert app.execute(FOUND).fetchall() == [(21, 21)]
    assert valid(app)
    app.execute("DELETE FROM uses_again WHERE id = 21")
    app.execute("DELETE FROM uses WHERE code = (SELECT id FROM code WHERE n = 21); DELETE FROM code WHERE n = 21")
    app.execute("UPDATE uses_again SET id = -id WHERE id < 0; UPDATE code SET n = n")
    go_back(rebuild)
    for name in ("code", "uses", "uses_again"):
        assert unlike(app, live(name), name, ["t.*"]) == []
    assert valid(app)
    attack.record("21 of 21 references lead somewhere after the swap; the rollback gives all blanks back", lost=0)


def test_texts_that_differ_in_blanks_alone_do_not_replace_each_other(app: psycopg.Connection, begin: Begin) -> None:
    """A key of such texts becomes one uuid: also where the second one comes while the run is at work."""
    app.execute("CREATE TABLE code (id char(9) PRIMARY KEY)")
    app.execute("CREATE TABLE uses (code text PRIMARY KEY REFERENCES code, note text)")
    app.execute("INSERT INTO code VALUES ('a'); INSERT INTO uses VALUES ('a', 'first')")
    rebuild = begin(_named("code", "id"), _named("uses", "code"))
    rebuild.ready()
    app.execute("INSERT INTO uses VALUES ('a ', 'second')")
    rebuild.try_for_a_while()
    assert "become the same" in rebuild.why() + "".join(one.problem for one in rebuild.sets)
    app.execute("DELETE FROM uses WHERE note = 'first'")
    rebuild.retry()
    rebuild.finish()
    assert app.execute("SELECT note FROM uses").fetchall() == [("second",)]


def _findings(url: Url, *tables: Table) -> dict[str, str]:
    plan = Plan(database=DatabasePlan(name=url.rsplit("/", 1)[1]), tables=tuple(each.planned for each in tables))
    file = PlanFile(plan=plan, source="plan.toml", text="")
    with connect(url, name="check") as connection:
        found = examine(connection, prepare_run(connection, file)).findings
    return {f.code: f.message for f in found if f.blocks}


@pytest.mark.attack("C4", "Uuids by name of texts that are equal and not the same")
def test_check_refuses_uuids_by_name_where_texts_that_differ_are_equal(loose: Url, attack: Attack) -> None:
    with psycopg.connect(loose, autocommit=True) as app:
        app.execute("CREATE TABLE code (id text COLLATE loose PRIMARY KEY)")
        app.execute("CREATE TABLE uses (id int PRIMARY KEY, code text COLLATE loose REFERENCES code)")
        app.execute("CREATE TABLE by_case (id citext PRIMARY KEY, ref text)")
        app.execute("CREATE TABLE strict (id citext NOT NULL, ref text)")
        app.execute("CREATE UNIQUE INDEX by_bytes ON strict (id text_ops)")
        there = one(app, "SELECT count(*) FROM pg_collation WHERE collname = 'loose' AND NOT collisdeterministic")
    found = _findings(loose, _named("code", "id"), _named("uses", "code"))
    assert ("name_based_collation" in found) == bool(there)
    assert "name_based_collation" not in _findings(loose, table("code", "id"), table("uses", "code"))
    attack.record("`check` refuses a nondeterministic collation by name")
    with pytest.raises(WrongUse, match=r"by_case\.id is public\.citext"):
        _findings(loose, _named("by_case", "id"))
    attack.record("a citext is refused before anything is looked at")
    assert "by_bytes" in _findings(loose, table("strict", "ref"))["key_equality"]
