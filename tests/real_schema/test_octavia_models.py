"""Octavia's own models and history, from `inspect --models` to Alembic's comparison, under services that write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from support.oracles.journal_oracle import diff_catalogue, foreign_keys_hold, snapshot_catalogue
from support.schemas.octavia import run_program, sqlalchemy_url
from support.servers.shared import new_database, shared

from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from real_schema.octavia_story import LEFT_OUT, LONG, SHORT, Story, tell

pytestmark = [pytest.mark.real_schema, pytest.mark.alembic]

COPY = "octavia_before"

NOT_NULLABLE = {
    "modify_nullable additional_vip.subnet_id: False -> True",
    "modify_nullable amphora_build_request.amphora_id: False -> True",
    "modify_nullable availability_zone.name: False -> True",
}
"""What Alembic finds before anything is changed: octavia says of three columns of keys that they may be NULL."""


def long_form(test: Callable[[Story], None]) -> Callable[[Story], None]:
    """For what the short form leaves out."""
    return pytest.mark.slow(pytest.mark.parametrize("story", ["long"], indirect=True)(test))


@pytest.fixture(scope="module", params=["short", pytest.param("long", marks=pytest.mark.slow)])
def story(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """In the short form the product's parts work in this process; in the long one it is `replank run` with workers."""
    broker: EmbeddedValkey | None = request.getfixturevalue("broker") if request.param == "long" else None
    with shared.keeping(f"database {COPY}"), new_database(postgres, "octavia") as url:
        try:
            yield tell(postgres, broker, url, COPY, tmp_path_factory.mktemp("octavia"))
        finally:
            postgres.drop_database(COPY)


def test_inspect_joins_every_model_with_its_table(story: Story) -> None:
    models = story.inspected.document["models"]
    tables = {one["table"]: one for one in models["tables"]}
    assert len(tables) == 39
    assert all(one["found"] and len(one["models"]) == 1 for one in tables.values())
    assert models["without_model"] == []
    # What only the models know: tags belong to rows of seven tables, and no foreign key says so
    tagged = {tuple(one["column"]) for table in tables.values() for one in table["keyless"]}
    assert tagged == {
        ("public", name, "id")
        for name in ("load_balancer", "listener", "pool", "member", "health_monitor", "l7policy", "l7rule")
    }
    # And where models and tables are of two minds, Alembic says the same
    mismatches = {f"{name}.{one.split(':')[0]}" for name, table in tables.items() for one in table["mismatches"]}
    assert mismatches == {one.split(" ")[1].rstrip(":") for one in NOT_NULLABLE}


def test_the_proposal_is_every_key_of_uuids_and_what_leads_to_one(story: Story) -> None:
    held = story.held
    assert len(held) == 40
    proposed = {(t["name"], c["name"]) for t in story.inspected.document["tables"] for c in t["columns"]}
    assert proposed == held
    # Of which a person takes one out
    assert set(story.columns) == held - {(LEFT_OUT, "project_id")}


def test_check_finds_nothing_against_the_plan(story: Story) -> None:
    assert story.checked.status == 0, story.checked.words
    assert {one["code"] for one in story.checked.document["warnings"]} == {"no_gates"}


def test_every_type_is_patched_and_one_value_of_sql_is_left_for_a_person(story: Story) -> None:
    changes = story.applied.document["models"]
    patched = {(one["table"].removeprefix("public."), one["column"]) for one in changes if one["patched"]}
    assert patched == set(story.columns)
    (by_hand,) = (one for one in changes if not one["patched"])
    assert (by_hand["table"], by_hand["column"]) == ("public.amphora", "id")
    assert (by_hand["old"], by_hand["new"]) == (
        ":amp_id in text(…)",
        'bindparam("amp_id", type_=Uuid(as_uuid=False))',
    )
    assert Path(by_hand["file"]).relative_to(story.source) == Path("octavia", "db", "repositories.py")
    line = Path(by_hand["file"]).read_text().splitlines()[by_hand["line"] - 1]
    assert line.strip() == "rows = session.execute(text("
    models = (story.source / "octavia" / "db" / "models.py").read_text()
    base = (story.source / "octavia" / "db" / "base_models.py").read_text()
    assert "    id = sa.Column(sa.Uuid(as_uuid=False), primary_key=True,\n" in base
    assert '        sa.ForeignKey("pool.id", name="fk_member_pool_id"),\n' in models
    # What is no id stays: names of states, and projects
    assert "    project_id = sa.Column(sa.String(36))\n" in base


@long_form
def test_what_a_mixin_says_for_tables_that_stay_is_listed_with_its_line(story: Story) -> None:
    assert story.more is not None
    changes = {(one["table"], one["column"]): one for one in story.more.few.document["models"]}
    assert changes["public.availability_zone", "availability_zone_profile_id"]["patched"]
    listed = changes["public.availability_zone_profile", "id"]
    assert not listed["patched"]
    assert (listed["old"], listed["new"]) == ("String(length=36)", "Uuid(as_uuid=False)")
    assert Path(listed["file"]).name == "base_models.py"
    # Octavia's file has been patched since: the line is where it was
    line = Path(listed["file"]).read_text().splitlines()[listed["line"] - 1]
    assert line.startswith("    id = sa.Column(")


def test_alembic_finds_what_it_found_before_and_no_more(story: Story) -> None:
    assert set(story.differences_before) == NOT_NULLABLE
    assert set(story.differences_patched) == NOT_NULLABLE


@long_form
def test_until_the_models_are_patched_alembic_would_have_the_types_back(story: Story) -> None:
    assert story.more is not None
    types = {one for one in story.more.differences_after_run if one.startswith("modify_type ")}
    assert {tuple(one.split(":")[0].split(" ")[1].split(".")) for one in types} == set(story.columns)
    assert {one for one in story.more.differences_after_run if one not in types} == NOT_NULLABLE


def test_the_live_database_has_the_revision_and_an_older_one_gets_it(story: Story) -> None:
    revision = story.applied.document["revision"]
    assert revision["new"]
    with psycopg.connect(story.url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision["revision"],)]
    run_program("history", sqlalchemy_url(story.url), "upgrade", "head", source=story.source)
    run_program("history", sqlalchemy_url(story.copied), "upgrade", "head", source=story.source)
    live, copied = (snapshot_catalogue(url, ["public"]) for url in (story.url, story.copied))
    found = [name for name, _, _ in diff_catalogue(live, copied) if not name.startswith("sequence value ")]
    assert found == []


@long_form
def test_a_second_time_there_is_nothing_to_apply(story: Story) -> None:
    assert story.more is not None
    again = story.more.again.document
    assert again["revision"] == story.applied.document["revision"] | {"new": False}
    assert [one["old"] for one in again["models"]] == [":amp_id in text(…)"]


def test_a_service_whose_ids_are_text_or_uuid_meets_no_error(story: Story) -> None:
    assert story.ready.errors == {"before": {}, "at": {}, "after": {}}
    assert story.ready.done["before"] >= 2 * SHORT
    assert story.ready.done["after"] >= SHORT


@long_form
def test_patched_models_meet_no_error_but_in_sql_of_their_own(story: Story) -> None:
    assert story.more is not None
    patched = story.more.patched
    (error,) = patched.errors["after"]
    assert "ProgrammingError" in error
    assert "operator does not exist: uuid = character varying" in error
    assert patched.done["after"] > 6 * patched.errors["after"][error] > 0


@long_form
def test_octavia_as_it_is_reads_ids_that_are_no_texts(story: Story) -> None:
    # psycopg2 writes literals, so that PostgreSQL refuses nothing; but Python is given UUIDs
    assert story.more is not None
    untouched = story.more.untouched
    assert untouched.errors["before"] == {}
    assert untouched.done["before"] >= 2 * LONG
    assert set(untouched.errors["after"]) == {
        'TypeError: can only concatenate str (not "UUID") to str',
        "Wrong: other load balancers than the project has",
    }


def test_every_row_is_as_it_was_or_as_a_service_wrote_it(story: Story) -> None:
    written = story.written
    assert len(written) > SHORT
    untouched = {row: columns for row, columns in story.before.items() if row not in written}
    assert len(untouched) > 4_000
    assert {row: columns for row, columns in story.after.items() if row not in written} == untouched
    wrong = []
    for row, columns in written.items():
        found = story.after.get(row)
        if columns is None:
            wrong += [] if found is None else [(row, "was deleted")]
        elif found is None:
            wrong.append((row, "is lost"))
        else:
            wrong += [(row, name) for name, value in columns.items() if _text(found[name]) != value]
    assert wrong == []
    assert foreign_keys_hold(story.url) == []


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
