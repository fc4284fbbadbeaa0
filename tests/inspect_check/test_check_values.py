"""Every value is read: what does not convert, what is spelled otherwise, what becomes the same."""

from __future__ import annotations

import psycopg
import pytest
from pydantic import SecretStr

from inspect_check.conftest import ID, Counting, Database, codes, only
from producer.check.values.values import CHUNK_BLOCKS, cut, scan
from producer.planning.prepared_run import prepare_run
from replank.errors import NeedsOperator
from replank.settings import Settings
from replank.values.chunk import Axis, Chunk
from sql.catalogue import catalogue
from sql.checks.value_audit import scan_chunk
from sql.session.connection import connect
from sql.values.uuid_texts import HAS_INPUT_IS_VALID

pytestmark = pytest.mark.catalogue

ACCEPTED = [
    ID,
    ID.upper(),
    "{" + ID + "}",
    ID.replace("-", ""),
    "0123-abcd-0123-4567-89ab-0123-4567-89ab",
    "{0123abcd01234567-89ab01234567-89ab}",
]
REFUSED = [
    "",
    "master",
    " " + ID,
    ID + " ",
    "urn:uuid:" + ID,
    "{" + ID,
    ID[:-1],
    ID + "0",
    "0-123abcd01234567" + "0" * 16,
]

EVERYTHING = Chunk(axis=Axis.HEAP, lower=None, upper=None)


def test_gotcha_01_spellings_are_judged_as_the_uuid_type_judges_them(database: Database) -> None:
    # Given every spelling of the list, in both ways of testing them: the server's parser and the pattern for 15
    database.run("CREATE TABLE t (id text)")
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.cursor().executemany("INSERT INTO t VALUES (%s)", [(v,) for v in [*ACCEPTED, *REFUSED, None]])
    with connect(database.url, name="test") as connection:
        file = database.plan({"t": ["id"]})
        subject = prepare_run(connection, file).subjects[0]
        for version in {catalogue.read_server(connection).version, HAS_INPUT_IS_VALID - 1}:
            rows, (count,) = scan_chunk(connection, subject.spec, subject.converted, EVERYTHING, version)
            # Then exactly the refused ones are found, and of the others all but one are spelled otherwise
            assert rows == len(ACCEPTED) + len(REFUSED) + 1
            assert (count.bad, count.odd) == (len(REFUSED), len(ACCEPTED) - 1)
            assert len(count.bad_examples) == 5
            assert set(count.bad_examples) <= set(REFUSED)


def test_values_that_do_not_convert_block_with_counts_and_examples(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY, other varchar(50))",
        "INSERT INTO t SELECT gen_random_uuid(), 'word ' || n FROM generate_series(1, 30) AS n",
    )
    report = database.check({"t": ["id", "other"]})
    found = only(report.blockers, "not_convertible")
    assert (found.table, found.column, found.details["count"]) == ("public.t", "other", 30)
    assert len(found.details["examples"]) == 5
    assert all(example.startswith("word ") for example in found.details["examples"])


def test_the_padding_of_char_is_no_fault(database: Database) -> None:
    database.run("CREATE TABLE t (id char(40) PRIMARY KEY)", "INSERT INTO t VALUES ('$ID')")
    report = database.check({"t": ["id"]})
    assert codes([*report.blockers, *report.warnings]) == []


def test_gotcha_02_texts_that_become_the_same_uuid_are_found(database: Database) -> None:
    # Given the same id twice in different case, and a composite and a partial key with such twins
    database.run(
        "CREATE TABLE one (id text PRIMARY KEY)",
        "CREATE TABLE two (a text, b integer, PRIMARY KEY (a, b))",
        "CREATE TABLE three (id integer PRIMARY KEY, a text, gone boolean)",
        "CREATE UNIQUE INDEX three_a ON three (a) WHERE NOT gone",
        "INSERT INTO one VALUES ('$ID'), (upper('$ID')), ('{$ID}'), (gen_random_uuid())",
        "INSERT INTO two VALUES ('$ID', 1), (upper('$ID'), 1), (upper('$ID'), 2)",
        "INSERT INTO three VALUES (1, '$ID', false), (2, upper('$ID'), true), (3, NULL, false), (4, NULL, false)",
    )
    report = database.check({"one": ["id"], "two": ["a"], "three": ["a"]})
    # Then the first two collide, with examples; in the third only one of the twins is under the index
    found = {f.table: f for f in report.blockers if f.code == "collision"}
    assert found.keys() == {"public.one", "public.two"}
    assert found["public.one"].details["count"] == 1
    assert ID.upper() in found["public.one"].message
    assert codes(report.warnings) == ["odd_spelling"] * 3


def test_gotcha_02_nulls_not_distinct_and_bad_values_do_not_disturb(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id integer PRIMARY KEY, a text, b text, UNIQUE NULLS NOT DISTINCT (a, b))",
        "INSERT INTO t VALUES (1, '$ID', NULL), (2, upper('$ID'), NULL), (3, 'no', 'x'), (4, 'No', 'x')",
    )
    report = database.check({"t": ["a"]})
    assert only(report.blockers, "collision").details["count"] == 1
    assert only(report.blockers, "not_convertible").details["count"] == 2


def test_gotcha_03_spellings_that_do_not_come_back_are_told(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id text PRIMARY KEY)",
        "INSERT INTO t SELECT upper(gen_random_uuid()::text) FROM generate_series(1, 7)",
        "INSERT INTO t SELECT gen_random_uuid() FROM generate_series(1, 7)",
    )
    report = database.check({"t": ["id"]})
    found = only(report.warnings, "odd_spelling")
    assert found.details["count"] >= 6
    assert "past table" in found.hint
    assert report.blockers == ()


def test_gotcha_20_a_table_that_was_never_analysed_is_read_to_its_end(database: Database) -> None:
    # Given a table whose estimate says nothing, with one bad value at its very end
    database.run(
        "CREATE TABLE t (id text, filler text)",
        "INSERT INTO t SELECT gen_random_uuid(), repeat('x', 700) FROM generate_series(1, 3000)",
        "INSERT INTO t VALUES ('the last')",
    )
    watch = Counting()
    report = database.check({"t": ["id"]}, watch=watch)
    # Then it is found, and the progress counted everything that was told
    assert only(report.blockers, "not_convertible").details["examples"] == ["the last"]
    assert watch.rows == report.rows == 3001
    assert watch.blocks == watch.blocks_told


def test_gotcha_21_the_scan_cuts_large_tables_into_short_statements(database: Database) -> None:
    # Given a table of some chunks
    database.run(
        "CREATE TABLE t (id text, filler text) WITH (fillfactor = 10)",
        "INSERT INTO t SELECT gen_random_uuid(), repeat('x', 300) FROM generate_series(1, 9000)",
    )
    watch = Counting()
    report = database.check({"t": ["id"]}, watch=watch)
    # Then each chunk was a statement of its own, and none was read twice
    assert watch.blocks == watch.blocks_told > CHUNK_BLOCKS * 2
    assert watch.parts == -(-watch.blocks // CHUNK_BLOCKS)
    assert report.rows == 9000


def test_an_empty_table_is_fine(database: Database) -> None:
    database.run("CREATE TABLE t (id text PRIMARY KEY)")
    report = database.check({"t": ["id"]})
    assert codes([*report.blockers, *report.warnings]) == []
    assert report.rows == 0


def test_a_table_dropped_meanwhile_needs_a_person(database: Database) -> None:
    # Given a plan that was resolved, and a table that is dropped before its values are read
    database.run("CREATE TABLE t (id text PRIMARY KEY)")
    file = database.plan({"t": ["id"]})
    with connect(database.url, name="test") as connection:
        subject = prepare_run(connection, file)
    database.run("DROP TABLE t")
    settings = Settings(database_url=SecretStr(database.url))
    with pytest.raises(NeedsOperator, match=r"public\.t was dropped"):
        scan(settings, subject, workers=2, watch=Counting())


def test_chunks_cover_a_table_without_gap_and_the_last_is_open(database: Database) -> None:
    database.run("CREATE TABLE t (id text)")
    file = database.plan({"t": ["id"]})
    with connect(database.url, name="test") as connection:
        subject = prepare_run(connection, file)
    (part,) = cut(subject.subjects)
    assert part.chunk is not None
    assert (part.chunk.lower, part.chunk.upper) == (("0",), None)


def test_examples_are_different_values(database: Database) -> None:
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, ref text)",
        "INSERT INTO t SELECT g, CASE WHEN g <= 500 THEN 'anonymous' ELSE 'nobody' END FROM generate_series(1, 900) g",
    )
    found = only(database.check({"t": ["ref"]}).blockers, "not_convertible")
    assert (found.details["count"], found.details["examples"]) == (900, ["anonymous", "nobody"])
