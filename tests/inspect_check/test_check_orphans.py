"""Rows without a parent behind foreign keys that the catalogue calls valid: found before the run."""

from __future__ import annotations

import psycopg
import pytest
from support.runs.attacks import Attack

from inspect_check.conftest import ID, Database, codes, only
from producer.check.findings import Finding
from producer.planning.resolution import PlanFile
from producer.starting.begin import begin_or_resume
from replank.errors import NeedsOperator
from replank.plan.plan import parse_plan
from sql.session.connection import connect

pytestmark = pytest.mark.catalogue

USERS = (
    "CREATE TABLE users (id text PRIMARY KEY)",
    "INSERT INTO users SELECT gen_random_uuid() FROM generate_series(1, 40)",
)
CONSENT = '[options]\nconsent = ["orphans"]\n'


def _load(database: Database, *statements: str) -> None:
    """With all triggers off, as a bulk load does it: those of foreign keys do not look either."""
    with psycopg.connect(database.url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.replace("$ID", ID).encode())


def _found(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    """Foreign key → its orphans."""
    return {str(f.details["foreign_key"]): f for f in findings if f.code == "orphans"}


def _listed(database: Database, finding: Finding) -> int:
    """How many rows the finding's own statement lists."""
    with psycopg.connect(database.url) as connection:
        return len(connection.execute(str(finding.details["sql"]).encode()).fetchall())


@pytest.mark.attack("C9", "orphans loaded with triggers off, behind keys that the catalogue calls valid")
def test_every_key_of_the_plan_is_counted(database: Database, attack: Attack) -> None:
    # Given keys of every kind, all valid, and all of whose triggers are on
    database.run(
        *USERS,
        "CREATE TABLE pair (a int, b text, PRIMARY KEY (a, b))",
        "INSERT INTO pair VALUES (1, '$ID')",
        "CREATE TABLE post (id int PRIMARY KEY, author text REFERENCES users, editor text REFERENCES users,"
        " a int, b text, fa int, fb text, up int REFERENCES post,"
        " CONSTRAINT post_simple FOREIGN KEY (a, b) REFERENCES pair,"
        " CONSTRAINT post_full FOREIGN KEY (fa, fb) REFERENCES pair MATCH FULL)",
        "CREATE TABLE visit (at date, who text REFERENCES users) PARTITION BY RANGE (at)",
        "CREATE TABLE visit_old PARTITION OF visit FOR VALUES FROM (MINVALUE) TO ('2020-01-01')",
        "CREATE TABLE visit_new PARTITION OF visit FOR VALUES FROM ('2020-01-01') TO (MAXVALUE)",
        # A table outside of the plan that refers to it, and one with children of its own
        "CREATE TABLE outside (n int PRIMARY KEY, who text, CONSTRAINT of_post FOREIGN KEY (n) REFERENCES post)",
        "CREATE TABLE outside_child (CHECK (true)) INHERITS (outside)",
    )
    _load(
        database,
        "INSERT INTO post (id, author) SELECT g, gen_random_uuid() FROM generate_series(1, 7) AS g",
        "INSERT INTO post (id, author) SELECT 100 + row_number() OVER (), id FROM users",
        "INSERT INTO post (id, a, b) VALUES (201, 1, '$ID'), (202, 2, NULL), (203, 2, 'x')",
        "INSERT INTO post (id, fa, fb) VALUES (301, 1, '$ID'), (302, 1, NULL), (303, 9, 'x')",
        "INSERT INTO post (id, up) VALUES (401, 401), (402, -1)",
        "INSERT INTO visit VALUES ('2019-01-01', gen_random_uuid()), ('2021-01-01', gen_random_uuid()),"
        " ('2021-01-01', NULL)",
        "INSERT INTO outside VALUES (1), (-5)",
        "INSERT INTO outside_child VALUES (-6)",
    )
    report = database.check(
        {"users": ["id"], "post": ["author", "editor", "b", "fb"], "pair": ["b"]} | {"visit": ["who"]}
    )
    # Then each is named with its count: NULLs, MATCH FULL, partitions and children as PostgreSQL takes them
    found = _found(report.blockers)
    assert {name: f.details["count"] for name, f in found.items()} == {
        "post_author_fkey": 7,
        "post_simple": 1,
        "post_full": 2,
        "post_up_fkey": 1,
        "visit_who_fkey": 2,
        "of_post": 1,
    }
    # And the statement that finds the rows finds just these
    assert all(_listed(database, finding) == finding.details["count"] for finding in found.values())
    assert "fa = 1, fb = NULL" in found["post_full"].details["examples"]
    assert found["of_post"].table == "public.outside"
    assert "SELECT child.* FROM" in found["post_up_fkey"].hint
    assert "NOT VALID" in found["post_up_fkey"].hint
    assert "post_editor_fkey" not in found
    attack.record("a blocker for each key, with count, examples and the statement that finds them", tried=len(found))


@pytest.mark.contrib
@pytest.mark.attack("C9", "orphans under equality that is not that of bytes: citext, char, two types of numbers")
def test_they_are_counted_by_the_key_s_own_equality(database: Database, attack: Attack) -> None:
    database.run(
        "CREATE EXTENSION citext",
        "CREATE TABLE person (name citext PRIMARY KEY, nick char(12) UNIQUE, no int UNIQUE, id text UNIQUE)",
        "INSERT INTO person VALUES ('Ann', 'Annie', 7, '$ID')",
        "CREATE TABLE seat (n int PRIMARY KEY, id text REFERENCES person (id), name citext REFERENCES person,"
        " nick char(7) REFERENCES person (nick), no bigint REFERENCES person (no))",
    )
    _load(
        database,
        "INSERT INTO seat (n, name, nick, no) VALUES (1, 'ANN', 'Annie ', 7), (2, 'Bob', NULL, 8),"
        " (3, NULL, 'annie', 7)",
    )
    report = database.check({"person": ["id"], "seat": ["id"]})
    found = _found(report.blockers)
    assert {name: f.details["count"] for name, f in found.items()} == {
        "seat_name_fkey": 1,
        "seat_nick_fkey": 1,
        "seat_no_fkey": 1,
    }
    attack.record("counted by the constraint's own operators", tried=3)


@pytest.mark.attack("C9", "orphans with PERIOD")
def test_periods_are_counted(database: Database, attack: Attack) -> None:
    if database.rows("SELECT current_setting('server_version_num')::int")[0][0] < 180_000:
        attack.record("there are no such keys before version 18")
        return
    database.run(
        "CREATE EXTENSION btree_gist",
        "CREATE TABLE room (id text, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS))",
        "CREATE TABLE stay (n int PRIMARY KEY, room text, during daterange,"
        " FOREIGN KEY (room, PERIOD during) REFERENCES room (id, PERIOD during))",
        "INSERT INTO room VALUES ('$ID', '[2020-01-01,2021-01-01)'), ('$ID', '[2021-01-01,2022-01-01)')",
    )
    _load(
        database,
        "INSERT INTO stay SELECT g, id, during FROM room, generate_series(1, 1) AS g LIMIT 1",
        "INSERT INTO stay SELECT 2, min(id), '[2020-06-01,2021-06-01)' FROM room",
        "INSERT INTO stay SELECT 3, min(id), '[2021-06-01,2022-06-01)' FROM room",
    )
    found = only(database.check({"room": ["id"], "stay": ["room"]}).blockers, "orphans")
    assert found.details["count"] == 1
    attack.record("covered by several parents together, or not", tried=3)


@pytest.mark.attack("C9", "orphans whose texts the plan gives up anyway")
def test_what_refers_to_nothing_after_the_run_is_no_orphan(database: Database, attack: Attack) -> None:
    # Given texts without a parent that become NULL, and one uuid that does not
    database.run(*USERS, "CREATE TABLE post (id int PRIMARY KEY, author text REFERENCES users)")
    _load(database, "INSERT INTO post VALUES (1, 'gone'), (2, 'deleted user'), (3, gen_random_uuid())")
    plan = database.plan_text({"users": ["id"], "post": ["author"]})
    nulled = plan.replace('{name = "author", to = "uuid"}', '{name = "author", to = "uuid", on_invalid = "null"}')
    found = only(database.check_text(nulled).blockers, "orphans")
    assert found.details["count"] == 1
    assert _listed(database, found) == 1
    attack.record("only what would still lead nowhere is counted", tried=3)


def _begin(database: Database, text: str) -> None:
    with connect(database.url, name="run") as connection:
        file = PlanFile(plan=parse_plan(text, source="plan.toml"), source="plan.toml", text=text)
        begin_or_resume(connection, file, hold_cutover=True)


@pytest.mark.attack("C9", "`run` without a `check`, over orphans behind a valid key")
def test_a_run_refuses_them_before_its_first_write(database: Database, attack: Attack) -> None:
    database.run(*USERS, "CREATE TABLE post (id int PRIMARY KEY, author text REFERENCES users)")
    _load(database, "INSERT INTO post VALUES (1, gen_random_uuid())")
    plan = database.plan_text({"users": ["id"], "post": ["author"]})
    with pytest.raises(NeedsOperator, match=r"orphans public\.post\.author: 1 row .* post_author_fkey"):
        _begin(database, plan)
    assert database.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replank%'") == []
    # With the plan's consent it is a warning, and the run begins
    report = database.check_text(plan + CONSENT)
    assert codes(report.blockers) == []
    assert "is created again as NOT VALID" in only(report.warnings, "orphans").message
    _begin(database, plan + CONSENT)
    said = database.rows("SELECT message FROM replank.event WHERE kind = 'consent'")
    assert len(said) == 1
    assert "post_author_fkey" in said[0][0]
    attack.record("refused before the first write, unless the plan says so")


def test_what_may_not_be_read_is_said(database: Database, role: object) -> None:
    """A table at the other end that this role may reference, and not read."""
    name, url = role()  # type: ignore[operator]
    database.run(*USERS)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {name}".encode())
        connection.execute(f"GRANT CREATE ON DATABASE {database.name} TO {name}".encode())
        connection.execute(f"GRANT REFERENCES, UPDATE ON users TO {name}".encode())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE post (id text PRIMARY KEY, author text REFERENCES users)")
    found = only(database.check({"post": ["id"]}, url=url).warnings, "orphans_unknown")
    assert found.table == "public.post"
    assert "post_author_fkey" in found.message
