"""How many odd spellings and invalid texts are recent: by a column of times, by where rows lie, or not known."""

from typing import LiteralString

import pytest

from inspect_check.conftest import Database, only

pytestmark = pytest.mark.catalogue


def test_a_column_of_times_says_it(database: Database) -> None:
    # Given odd spellings of yesterday and of last year, and one of a row that has no time
    database.run(
        'CREATE TABLE t (id text PRIMARY KEY, "createdAt" timestamptz DEFAULT now(), updated_at timestamp)',
        "INSERT INTO t SELECT lpad(g::text, 32, 'A'), now() - interval '1 day' FROM generate_series(1, 3) AS g",
        "INSERT INTO t SELECT lpad(g::text, 32, 'B'), now() - interval '1 year' FROM generate_series(1, 5) AS g",
        "INSERT INTO t VALUES (upper(gen_random_uuid()::text), NULL, now())",
        "INSERT INTO t SELECT gen_random_uuid(), now() FROM generate_series(1, 9)",
    )
    found = only(database.check({"t": ["id"]}).warnings, "odd_spelling")
    # Then the key's are told by when their rows were made
    recent = found.details["recent"]
    assert (found.details["count"], recent["count"], recent["by"], recent["days"]) == (9, 3, "createdAt", 30)
    assert recent["undated"] == 1
    (yesterday,) = database.rows("SELECT to_char((now() - interval '1 day') AT TIME ZONE 'UTC', 'YYYY-MM-DD')")[0]
    assert recent["newest"] == yesterday
    assert (
        f"3 of them in rows of the last 30 days (createdAt), the newest of {yesterday}; 1 without a time"
        in found.message
    )
    assert "Clients may still write them" in found.hint


def test_a_column_that_may_change_is_told_by_the_last_change(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, ref text, created date, modified timestamp)",
        "INSERT INTO t SELECT g, lpad(g::text, 32, 'C'), now() - interval '1 y', now() FROM generate_series(1, 4) AS g",
        "INSERT INTO t SELECT g, 'none', now(), now() - interval '1 year' FROM generate_series(5, 6) AS g",
    )
    report = database.check({"t": ["ref"]})
    odd, bad = only(report.warnings, "odd_spelling"), only(report.blockers, "not_convertible")
    assert (odd.details["recent"]["count"], odd.details["recent"]["by"]) == (4, "modified")
    assert bad.details["recent"]["count"] == 0
    assert "none of them in a row of the last 30 days (modified)" in bad.message
    assert "go on" not in bad.hint


def test_without_one_the_end_of_the_table_does(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY, filler text, born date)",
        "INSERT INTO t SELECT gen_random_uuid(), repeat('x', 700) FROM generate_series(1, 900)",
        "UPDATE t SET id = upper(gen_random_uuid()::text) WHERE ctid IN ('(3,1)', '(3,2)', '(60,1)')",
        "INSERT INTO t SELECT upper(gen_random_uuid()::text), repeat('x', 700) FROM generate_series(1, 5)",
        "VACUUM ANALYZE t",
    )
    found = only(database.check({"t": ["id"]}).warnings, "odd_spelling")
    recent = found.details["recent"]
    assert (found.details["count"], recent["count"], recent["by"]) == (8, 8, "blocks")
    assert "8 of them in the last tenth of the table's blocks, where new rows usually are" in found.message


@pytest.mark.parametrize(
    "tables",
    [
        ["CREATE TABLE t (id text PRIMARY KEY, born date, expires_at timestamptz)"],
        [
            "CREATE TABLE t (id text PRIMARY KEY) PARTITION BY HASH (id)",
            "CREATE TABLE t_0 PARTITION OF t FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        ],
    ],
)
def test_otherwise_it_is_said_that_nobody_knows(database: Database, tables: list[LiteralString]) -> None:
    for statement in tables:
        database.run(statement)
    database.run("INSERT INTO t (id) SELECT upper(gen_random_uuid()::text) FROM generate_series(1, 3)")
    found = only(database.check({"t": ["id"]}).warnings, "odd_spelling")
    assert found.details["recent"] == {"count": None, "by": None, "days": None, "newest": None, "undated": None}
    assert "how many are recent is unknown" in found.message


def test_what_the_plan_does_with_invalid_texts_says_it_too(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, ref text, inserted_on date DEFAULT CURRENT_DATE)",
        "INSERT INTO t VALUES (1, 'none', DEFAULT), (2, 'nobody', DEFAULT), (3, 'x', '2020-01-01')",
    )
    text = database.plan_text({"t": ["ref"]}).replace('to = "uuid"', 'to = "uuid", on_invalid = "null"')
    found = only(database.check_text(text).warnings, "converted_by_policy")
    assert found.details["recent"]["count"] == 2
    assert "From the cutover on, an INSERT or UPDATE with such a text fails. Clients may still write them" in found.hint
