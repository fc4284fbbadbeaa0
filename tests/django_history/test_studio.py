"""docs/django.md, command by command, in a project of two apps whose ORM writes throughout."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.runs.harness import Rebuild, table
from support.schemas.django_page import PAGE, blocks, commands, table_of
from support.schemas.django_studio import copy_application
from support.servers.shared import new_database

from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from django_history.studio import NEW_ID, OLD_ID, ROWS, TO_STR, TO_UUID, Project, Story, tell

pytestmark = pytest.mark.django


@pytest.fixture(scope="module")
def story(
    postgres: EmbeddedPostgres, broker: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    with new_database(postgres, "studio") as url, new_database(postgres, "studio_empty") as empty:
        yield tell(url, empty, broker.url(), tmp_path_factory.mktemp("studio"))


def test_every_command_of_the_page_was_executed(story: Story) -> None:
    assert set(commands()) <= story.said.keys()
    assert len(commands()) >= 10


def test_the_client_with_the_pages_field_met_no_error_and_lost_nothing(story: Story) -> None:
    assert len(story.clients) == 2
    for told in story.clients:
        assert told["errors"] == []
        assert told["lost"] == []
        assert told["written"] >= 8
    # The second client also finds what the first has written
    assert story.clients[1]["traced"] == sum(told["written"] for told in story.clients)


def test_the_page_says_what_the_code_sees(story: Story) -> None:
    assert table_of(story.seen) in PAGE.read_text(encoding="utf-8"), f"\n{table_of(story.seen)}"
    (diff,) = blocks("diff")
    assert diff == f"-    id = {OLD_ID}\n+    id = {NEW_ID}\n"


def test_before_the_run_nothing_is_recorded(story: Story) -> None:
    assert "The database is not migrated yet: public.people_member.id is still" in story.said["refused"]


def test_django_finds_nothing_to_do_after_the_run(story: Story) -> None:
    assert "No changes detected" in story.said["python manage.py makemigrations --check"]
    assert story.said["python manage.py migrate --check"] == ""


def test_the_history_makes_the_same_catalogue_of_an_empty_database(story: Story) -> None:
    assert story.catalogues["history"] == story.catalogues["run"]
    assert story.catalogues["run"]["column public.work_comment.object_id"].startswith("uuid;")


def test_a_migration_is_shown_written_once_and_then_found(story: Story) -> None:
    shown, written = (story.said[command] for command in commands() if command.startswith("replank django"))
    assert "+    operations = [" in shown
    assert "would be written" in shown
    assert written.count(" is written.") == 2
    assert written.count(" is recorded as applied.") == 2
    assert "By hand" not in written
    assert story.said["again"].count(" was there already.") == 2
    assert "recorded" not in story.said["again"]


def test_a_rollback_leaves_the_catalogue_of_before_and_a_history_without_the_plan(story: Story) -> None:
    assert story.catalogues["rollback"] == story.catalogues["text"]
    assert story.said["after rollback"] == ""


def test_an_object_id_may_stay_text(database: str, tmp_path: Path) -> None:
    # Given a plan that has all ids but that of the generic foreign key
    project = Project(folder=copy_application(tmp_path / "project"), url=database, broker="")
    project.done("python manage.py migrate")
    project.done("python manage.py shell", given=ROWS)
    rebuild = Rebuild.begin(
        database,
        [
            table("people_member", "id", "token", "invited_by_id"),
            table("work_project", "id", "owner_id", "trace"),
            table("work_tag", "id"),
            table("work_project_tags", "project_id", "tag_id"),
            table("work_asset", "id", "project_id"),
            table("work_comment", "author_id"),
        ],
        {"consent": ("pattern_indexes",)},
    )
    with rebuild.closing():
        rebuild.finish()
    # Then only a join over it fails, and with UUIDField none does: Django casts where the fields' types differ
    text = project.variant("text", TO_STR).seen()
    project.rewrite({old: new for old, new in TO_UUID.items() if not old.endswith("db_index=True)")})
    uuids = project.seen()
    join = "a join over a `GenericRelation`"
    assert (text.pop(join), uuids.pop(join)) == ("`ProgrammingError`", "yes")
    rows = [
        row.strip("| \n").split(" | ") for row in PAGE.read_text(encoding="utf-8").splitlines() if row.startswith("| ")
    ]
    of_page = {row[0]: (row[4], row[5]) for row in rows if len(row) == 6}
    assert {fact: (text[fact], uuids[fact]) for fact in text} == {fact: of_page[fact] for fact in text}
