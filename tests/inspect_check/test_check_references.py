"""References with and without a foreign key, and program text that may break."""

from __future__ import annotations

import re

import psycopg
import pytest

from inspect_check.conftest import ID, Database, only
from producer.check.statements.comparisons import word

pytestmark = pytest.mark.catalogue

USERS = (
    "CREATE TABLE users (id text PRIMARY KEY)",
    "INSERT INTO users SELECT gen_random_uuid() FROM generate_series(1, 40)",
)


def test_gotcha_06_ids_in_arrays_json_and_other_texts_are_suggested(database: Database) -> None:
    # Given users, and their ids in an array, in JSON, in a polymorphic column and in a log; and uuids of nobody
    database.run(
        *USERS,
        "CREATE TABLE groups (id integer PRIMARY KEY, members text[], settings jsonb, owner_type text, owner_id text,"
        " trace text, prose text)",
        "INSERT INTO groups SELECT 1, array_agg(id), jsonb_build_object('admins', array_agg(id)), 'user', min(id),"
        " gen_random_uuid(), 'a user and a group' FROM users",
        "CREATE TABLE logs (line json)",
        "INSERT INTO logs SELECT json_build_object('text', 'user ' || id || ' came') FROM users",
    )
    report = database.check({"users": ["id"]})
    # Then each is a warning that names both ends, and the others are not
    found = {(f.table, f.column): f for f in report.warnings if f.code == "soft_reference"}
    assert found.keys() == {
        ("public.groups", "members"),
        ("public.groups", "settings"),
        ("public.groups", "owner_id"),
        ("public.logs", "line"),
    }
    assert all(f.details["references"] == {"table": "public.users", "column": "id"} for f in found.values())
    assert "users.id" in found["public.groups", "members"].message
    assert found["public.groups", "members"].details["matches"] == 20
    assert report.blockers == ()


def test_a_uuid_that_stands_for_nothing_is_no_reference(database: Database) -> None:
    # Given placeholders, the nil uuid and the largest one, in two tables that have nothing to do with each other
    database.run(
        *USERS,
        "INSERT INTO users VALUES ('00000000-0000-0000-0000-000000000000'), ('ffffffff-ffff-ffff-ffff-ffffffffffff')",
        "CREATE TABLE zones (name text PRIMARY KEY)",
        "INSERT INTO zones SELECT id FROM users WHERE id ~ '0{12}|f{12}' UNION VALUES ('north')",
    )
    # Then neither is said to refer to the other
    assert [f for f in database.check({"users": ["id"]}).warnings if f.code == "soft_reference"] == []


def test_gotcha_06_a_planned_column_that_refers_to_an_id_outside_the_plan_is_told(database: Database) -> None:
    # Given logs of users whose own ids stay as they are, because one of them is a word
    database.run(
        *USERS,
        "CREATE TABLE logs (id integer PRIMARY KEY, user_id text)",
        "INSERT INTO logs SELECT row_number() OVER (), id FROM users",
        "INSERT INTO users VALUES ('master')",
    )
    found = only(database.check({"logs": ["user_id"]}).warnings, "soft_reference")
    assert (found.table, found.column) == ("public.logs", "user_id")
    assert found.details["references"] == {"table": "public.users", "column": "id"}
    assert "which stays text" in found.message


def test_gotcha_07_the_check_counts_ids_of_other_kinds(database: Database) -> None:
    # Given cuids and a word among uuids
    database.run(*USERS, "INSERT INTO users VALUES ('ckv9x2m0a0000qzrmn831i7rn'), ('master')")
    found = only(database.check({"users": ["id"]}).blockers, "not_convertible")
    assert found.details["count"] == 2
    assert set(found.details["examples"]) == {"ckv9x2m0a0000qzrmn831i7rn", "master"}


def test_gotcha_08_the_check_asks_for_the_many_to_many_table_without_a_model(shop: Database) -> None:
    # Given a plan made from the models alone
    report = shop.check({"Tag": ["id"]})
    # Then the table that no model names is asked for
    assert only(report.blockers, "foreign_key_torn").details["missing"] == {
        "table": "public._OrderToTag",
        "column": "B",
    }


def test_orphans_under_a_key_that_is_not_valid_are_a_warning(database: Database) -> None:
    database.run(
        *USERS,
        "CREATE TABLE posts (user_id text)",
        "INSERT INTO posts SELECT gen_random_uuid() FROM generate_series(1, 3)",
        "INSERT INTO posts SELECT id FROM users UNION ALL SELECT NULL",
        "ALTER TABLE posts ADD COLUMN id text PRIMARY KEY DEFAULT gen_random_uuid()::text,"
        " ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users NOT VALID",
    )
    report = database.check({"users": ["id"], "posts": ["user_id"]})
    assert only(report.warnings, "orphans").details["count"] == 3
    assert report.blockers == ()


def test_orphans_behind_switched_off_triggers_block(database: Database) -> None:
    # Given a key that counts as valid, and rows that came in while its triggers were off
    database.run(
        *USERS,
        "CREATE TABLE posts (id integer PRIMARY KEY, user_id text REFERENCES users)",
        "ALTER TABLE posts DISABLE TRIGGER ALL",
        "INSERT INTO posts SELECT n, gen_random_uuid() FROM generate_series(1, 2) AS n",
    )
    found = only(database.check({"users": ["id"], "posts": ["user_id"]}).blockers, "orphans")
    assert found.details["count"] == 2
    assert "posts_user_id_fkey" in found.message


@pytest.mark.contrib
def test_gotcha_39_statements_that_will_break_are_listed(database: Database) -> None:
    # Given an application that searches in ids, one that casts them first, and one that searches elsewhere
    database.run(
        *USERS,
        'CREATE TABLE "Post" ("userId" text, id text PRIMARY KEY, name text)',
        "CREATE EXTENSION pg_stat_statements",
        # Full of other tests' statements it would forget those that are called once.
        "SELECT pg_stat_statements_reset()",
    )
    database.run(
        "SELECT * FROM users WHERE id LIKE '0%'",
        # A uuid is appended to a text as it is.
        "SELECT 'user-' || users.id FROM users",
        "SELECT left(u.id, 8) AS short FROM users AS u",
        'SELECT * FROM "Post" WHERE "Post"."userId" ILIKE $$A%$$',
        "SELECT * FROM users WHERE id ~ '^a'",
        "SELECT 1 FROM users WHERE id::text LIKE '1%'",
        'SELECT 2 FROM "Post" WHERE name LIKE $$x%$$ AND id = $$1$$',
        "SELECT 3 FROM users WHERE id = 'x'",
    )
    report = database.check({"users": ["id"], "Post": ["id", "userId"]})
    found = [f for f in report.warnings if f.code == "query_will_break"]
    assert sorted(re.sub(r"\$\d", "?", f.details["query"]) for f in found) == [
        'SELECT * FROM "Post" WHERE "Post"."userId" ILIKE ?',
        "SELECT * FROM users WHERE id LIKE ?",
        "SELECT * FROM users WHERE id ~ ?",
        "SELECT left(u.id, ?) AS short FROM users AS u",
    ]
    assert {f.column for f in found} == {"id", "userId"}
    assert all(len(f.details["query"]) <= 200 for f in found)


def test_functions_that_name_planned_tables_are_told(database: Database) -> None:
    database.run(
        *USERS,
        "CREATE FUNCTION of_user(who text) RETURNS bigint LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN (SELECT count(*) FROM users WHERE id = who); END $$",
        "CREATE FUNCTION on_user() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_notify('ch', NEW.id); RETURN NEW; END $$",
        "CREATE TRIGGER tell BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION on_user()",
        "CREATE FUNCTION of_many(text[], many users.id%TYPE) RETURNS bigint LANGUAGE sql AS"
        " $$ SELECT count(*) FROM users u WHERE u.id = ANY ($1) $$",
        "CREATE FUNCTION of_variable() RETURNS void LANGUAGE plpgsql AS"
        " $$ DECLARE found text := 'x'; BEGIN DELETE FROM users WHERE found = users.id; END $$",
        "CREATE FUNCTION cast_well(who text) RETURNS bigint LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN (SELECT count(*) FROM users WHERE id::text = who OR id = who::uuid); END $$",
        "CREATE FUNCTION by_number(who int, t text) RETURNS bigint LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN (SELECT count(*) FROM users WHERE length(t) = who); END $$",
        "CREATE FUNCTION superusers() RETURNS text LANGUAGE sql AS $$ SELECT 'id of superusers' $$",
    )
    report = database.check({"users": ["id"]})
    found = {f.details["function"]: f for f in report.warnings if f.code == "function_mentions"}
    assert found.keys() == {"public.by_number(integer,text)", "public.cast_well(text)", "public.on_user()"}
    assert "trigger function" in found["public.on_user()"].message
    compared = [f for f in report.warnings if f.code == "function_compares_text"]
    assert {(f.details["function"], f.column, f.details["parameter"]) for f in compared} == {
        ("public.of_user(text)", "id", "who"),
        ("public.of_many(text[],text)", "id", "$1"),
        ("public.of_variable()", "id", "found"),
    }


def test_a_function_that_names_several_tables_is_told_once(database: Database) -> None:
    database.run(
        "CREATE TABLE users (id text PRIMARY KEY)",
        "CREATE TABLE orders (id text PRIMARY KEY)",
        "CREATE FUNCTION two() RETURNS bigint LANGUAGE sql AS"
        " $$ SELECT count(*) FROM users u, orders o WHERE u.id = o.id $$",
    )
    found = only(database.check({"users": ["id"], "orders": ["id"]}).warnings, "function_mentions")
    assert sorted(found.details["tables"]) == ["public.orders", "public.users"]
    assert "names table public.users and id, which becomes uuid" in found.message
    assert "names table public.orders and id" in found.message


def test_the_advised_comparison_works_before_and_after(database: Database) -> None:
    database.run(
        "CREATE TABLE users (id text PRIMARY KEY)",
        "INSERT INTO users SELECT gen_random_uuid() FROM generate_series(1, 2000)",
        "CREATE FUNCTION of_user(who text) RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM users"
        " WHERE id = who $$",
        "CREATE FUNCTION of_many(many text[]) RETURNS bigint LANGUAGE sql AS"
        " $$ SELECT count(*) FROM users WHERE id = ANY (many) $$",
    )
    compared = [f for f in database.check({"users": ["id"]}).warnings if f.code == "function_compares_text"]
    assert len(compared) == 2
    hints = " ".join(f.hint for f in compared)
    one, many = "id::uuid = who::uuid", "id::uuid = ANY (many::uuid[])"
    assert f"({one})" in hints
    assert f"({many})" in hints
    assert "Until the cutover it uses no index on id" in hints
    database.run("ANALYZE users")
    given = "(SELECT min(id::text) AS who, array[min(id::text)] AS many FROM users) AS p"
    constant = one.replace("who", f"'{ID}'::text")
    by_index: list[bool] = []
    with psycopg.connect(database.url, autocommit=True) as connection:
        for change in ("SELECT", "ALTER TABLE users ALTER id TYPE uuid USING id::uuid"):
            connection.execute(change)
            for form in (one, many):
                query = f"SELECT count(*) FROM users, {given} WHERE {form}"  # noqa: S608 - the advised words
                counted = connection.execute(query.encode()).fetchall()
                assert counted == [(1,)]
            plan = connection.execute(f"EXPLAIN SELECT FROM users WHERE {constant}".encode()).fetchall()
            by_index.append("Index" in str(plan))
    assert by_index == [False, True]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("id", "u.ID = 1", True),
        ("id", 'u."id" = 1', True),
        ("id", "user_id = 1", False),
        ("id", 'u."ID" = 1', False),
        ("userId", '"userId" = 1', True),
        ("userId", "userid = 1", False),
        ('a"b', '"a""b" = 1', True),
    ],
)
def test_identifiers_are_found_as_postgres_reads_them(name: str, text: str, found: bool) -> None:
    assert (re.search(word(name), text) is not None) is found
