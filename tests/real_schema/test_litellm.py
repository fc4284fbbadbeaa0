"""A platform of 101 tables that other people wrote is converted while clients write to it."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from support.oracles.journal_oracle import diff_catalogue, foreign_keys_hold
from support.schemas.litellm import migration_files
from support.servers.shared import new_database

from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from real_schema.story import WORKERS, Column, Story, tell
from real_schema.untouched import compare_one, compare_untouched

pytestmark = pytest.mark.real_schema


@pytest.fixture(scope="module")
def story(
    postgres: EmbeddedPostgres, broker: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """The whole migration, once; no test changes what another one judges."""
    with new_database(postgres, "platform") as url:
        yield tell(url, broker, tmp_path_factory.mktemp("plan"))


def _proposed(story: Story) -> set[Column]:
    return {(*table, column) for table, columns in story.converted.items() for column in columns}


def _ask(story: Story, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(story.url) as connection:
        return connection.execute(query.encode()).fetchall()


def _text_columns(story: Story) -> set[Column]:
    """Columns of a single text; lists of ids are another matter."""
    return {
        (schema, table, column)
        for schema, table, column in story.kinds
        if re.match(r"(text|character varying)", story.before[_column_object(schema, table, column)].split("; ")[0])
        and not story.before[_column_object(schema, table, column)].split("; ")[0].endswith("[]")
    }


def _column_object(schema: str, table: str, column: str) -> str:
    """The column's name in a catalogue snapshot."""
    return "column " + ".".join(_quoted(name) for name in (schema, table, column))


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _RESERVED else f'"{name}"'


_RESERVED = frozenset({"user", "order", "default", "end", "check"})


def test_inspect_proposes_the_columns_that_hold_uuids_and_no_other(story: Story) -> None:
    # Given a platform whose 220 migrations applied, and what was filled into each text column
    assert len(migration_files()) == 220
    # Then inspect proposes each column of uuids, and none in which anything else may stand
    held = {column for column in _text_columns(story) if story.kinds[column] == "uuid"}
    assert len(held) > 100
    assert _proposed(story) == held


def test_inspect_sees_ids_that_are_no_uuids_and_says_why_it_leaves_them(story: Story) -> None:
    # Given columns with names of ids that hold other texts, or uuids among other texts
    left = {(c["schema"], c["table"], c["column"]): c["reason"] for c in story.inspected.document["left_alone"]}
    mixed = {column for column in _text_columns(story) if story.kinds[column] == "mixed"}
    others = {c for c in _text_columns(story) if story.kinds[c] == "other" and re.search(r"(^|_)id$", c[2])}
    assert len(mixed) > 50
    assert len(others) > 10
    # Then each is named, with a reason
    assert {column for column in mixed | others if not left.get(column)} == set()
    # And they still are what they were
    after = {column: story.after[_column_object(*column)] for column in mixed | others}
    assert after == {column: story.before[_column_object(*column)] for column in mixed | others}


def test_check_finds_nothing_that_stops_the_run_and_names_lists_of_ids(story: Story) -> None:
    # Given the proposed plan
    report = story.checked.document
    # Then no blocker stands against it
    assert report["blockers"] == []
    # And a list of ids that refers to a converted column is named: joins with it will need a cast
    lists = {(w["table"], w["column"]) for w in report["warnings"] if w["code"] == "soft_reference"}
    assert ("public.LiteLLM_TeamTable", "access_group_ids") in lists


def test_the_run_is_done_and_all_workers_took_part(story: Story) -> None:
    # Given the run that four workers did
    report = story.ran.document
    # Then it is done, every set is swapped, and no job is left over
    assert report["state"] == "done", report["reason"]
    assert all(conversion_set["swapped"] for conversion_set in report["sets"])
    assert {state: n for state, n in report["jobs"].items() if n} == {"done": report["jobs"]["done"]}
    workers = _ask(story, "SELECT count(DISTINCT worker) FROM replank.job")
    assert workers == [(WORKERS,)]
    # And each table's verification compared all its rows, before clients went on with it
    verified = _ask(story, "SELECT count(DISTINCT subject) FROM replank.event WHERE kind = 'verification'")
    assert verified == [(len(story.converted),)]


_DAMAGE = """
UPDATE replank_past."LiteLLM_DailyUserSpend" SET spend = spend + 0.001
 WHERE ctid = (SELECT min(ctid) FROM replank_past."LiteLLM_DailyUserSpend")
"""


def test_every_past_row_is_its_live_row_and_the_other_way_round(story: Story) -> None:
    # Given past and live tables, without the rows of the clients that wrote after the swap
    # When plain SQL casts every past row and looks for it in the live table, and back
    differences = compare_untouched(story.url, story.converted, story.through_swap)
    # Then there is no difference
    assert differences == {}
    # And there was something to compare: one changed value of one past row is seen
    past = _ask(story, "SELECT sum(reltuples)::bigint FROM pg_class WHERE relnamespace = 'replank_past'::regnamespace")
    assert past[0][0] > story.rows / 2
    with psycopg.connect(story.url) as connection:
        assert connection.execute(_DAMAGE).rowcount == 1
    seen = compare_one(story.url, story.converted, ("public", "LiteLLM_DailyUserSpend"))
    assert [difference for difference in seen if difference.startswith("1 rows only in ")] == seen
    assert len(seen) == 2


def test_no_acknowledged_write_is_lost_and_no_write_failed(story: Story) -> None:
    # Given two groups of clients: until every table was ready, and through all swaps
    for journal in (story.until_ready, story.through_swap):
        # Then they wrote in every way, and neither an error nor a lost connection met them
        assert {"insert", "insert many", "update", "update many", "delete", "change key"} <= journal.kinds.keys()
        assert journal.errors == []
        assert journal.connection_losses == []
        # And each row is as the last acknowledged write left it
        assert journal.find_lost(story.url) == []


def test_every_foreign_key_holds_and_is_validated(story: Story) -> None:
    # Given the platform's foreign keys, those to and from converted columns among them
    keys = [name for name, text in story.after.items() if name.startswith("constraint ") and text.startswith("f; ")]
    assert len(keys) == 33
    # Then none has an orphan, and the server takes each for valid
    assert foreign_keys_hold(story.url) == []


def test_the_catalogue_is_as_before_but_for_the_types(story: Story) -> None:
    # Given what the catalogue said before and after
    found = diff_catalogue(story.before, story.after)
    columns = {_column_object(*column): column for column in _proposed(story)}
    # Then every converted column differs by its type and what follows from it
    assert {name for name, _, _ in found if name in columns} == columns.keys()
    wrong = [(name, was, now) for name, was, now in found if name in columns and now != _as_uuid(was or "")]
    assert wrong == []
    # And nothing else differs, but for what the clients themselves drew from sequences
    others = [name for name, _, _ in found if name not in columns]
    assert [name for name in others if not name.startswith("sequence value ")] == []


def _as_uuid(column: str) -> str:
    """What the catalogue says of a text column once it is uuid: no collation, plain storage, a cast default."""
    parts = [part for part in column.split("; ") if not part.startswith(("collation ", "compression "))]
    converted = ["uuid", *parts[1:]]
    for place, part in enumerate(converted):
        if part.startswith("storage "):
            converted[place] = "storage p"
        if part.startswith("default "):
            expression = part.removeprefix("default ")
            known = expression == "(gen_random_uuid())::text"
            converted[place] = "default gen_random_uuid()" if known else f"default ({expression})::uuid"
    return "; ".join(converted)


def test_nothing_is_left_but_ledger_and_past(story: Story) -> None:
    # Given the schemas of the database, and triggers and functions in the platform's own
    schemas = {name for (name,) in _ask(story, "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^judged$'")}
    # Then the ledger and the past tables came, and of capture only what a rollback would need
    assert schemas == {"public", "information_schema", "replank", "replank_past"}
    capturing = _ask(story, "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'replank%'")
    assert {name.rpartition("_")[0] for (name,) in capturing} == {"replank_capture_back"}


def test_the_same_plan_again_says_that_it_is_done(story: Story) -> None:
    # Given the run that is done
    # When the same plan is run again
    # Then that is said, and no second run exists
    assert story.ran_again.status == 0
    assert "Nothing was changed" in story.ran_again.words
    assert _ask(story, "SELECT count(*) FROM replank.run") == [(1,)]
