"""A sample application with Alembic's history: its models and its history after one run."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from support.oracles.journal_oracle import snapshot_catalogue
from support.servers.shared import new_database

from alembic_history.shop_run import Shop, run_shop
from demo.embedded import EmbeddedPostgres

pytestmark = pytest.mark.alembic


@pytest.fixture(scope="module")
def migrated(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop after its run and after `replank alembic --apply`; `before` is what was said before the run."""
    with new_database(postgres, "shop") as url:
        yield run_shop(url, tmp_path_factory.mktemp("shop"))


def test_before_the_run_nothing_is_stamped_and_partitions_are_not_known(migrated: Shop) -> None:
    assert migrated.before["apply"].status == 2
    assert "not migrated yet: public.tenants.id is still" in migrated.before["apply"].words
    assert migrated.before["partitions"].status == 2
    assert "orders is not partitioned yet: run the plan first" in migrated.before["partitions"].words


def test_the_models_are_told_the_same_before_the_run_and_after_it(migrated: Shop) -> None:
    before, after = migrated.before["models"], migrated.before["shown"]
    assert before.status == 0, before.words
    assert after.status == 0, after.words
    assert before.document["models"] == after.document["models"]
    assert before.document["revision"] is None
    assert not after.document["written"]
    assert after.document["revision"]["new"]
    assert not migrated.shown_was_written


def test_what_is_applied_is_stamped_and_there_is_nothing_to_do(migrated: Shop) -> None:
    assert migrated.applied.status == 0, migrated.applied.words
    revision = migrated.applied.document["revision"]
    assert revision["follows"] == "d400shop"
    assert revision["revision"] in migrated.alembic("current")
    assert "Running upgrade" not in migrated.alembic("upgrade", "head")
    again = migrated.replank("--apply")
    assert again.status == 0, again.words
    assert "was stamped already" in again.words
    assert again.document["revision"] == revision | {"new": False}
    assert [change for change in again.document["models"] if change["patched"]] == []


def test_alembic_finds_no_difference_after_the_run(migrated: Shop) -> None:
    assert "No new upgrade operations detected" in migrated.alembic("check")


def test_the_history_makes_the_same_catalogue_of_an_empty_database(migrated: Shop, database: str) -> None:
    url = database
    migrated.alembic("upgrade", "head", url=url)
    assert _made_of(migrated.url) == _made_of(url)
    with psycopg.connect(url) as app:
        assert app.execute("SELECT to_regnamespace('audit')").fetchone() == (None,)


def _made_of(url: str) -> dict[str, str]:
    """The catalogue but for triggers of audit logs, and with indexes of partitions by what they are, not by name."""
    found: dict[str, str] = {}
    for subject, definition in snapshot_catalogue(url, ["public", "permission"]).items():
        if subject.startswith("index ") and "; part of " in definition:
            found["index " + re.sub(r"INDEX \S+ ON", "INDEX ON", definition)] = ""
        elif ".replank_audit_" not in subject and not subject.startswith("sequence value "):
            found[subject] = definition
    return dict(sorted(found.items()))


def test_the_patch_changes_types_where_they_are_said_and_nothing_else(migrated: Shop) -> None:
    changes = migrated.applied.document["models"]
    patched = {(one["table"], one["column"]) for one in changes if one["patched"]}
    assert {("public.shelves", "warehouse_id"), ("public.product_tags", "tag_id"), ("public.users", "id")} <= patched
    listed = {(one["table"], one["column"], one["new"]) for one in changes if not one["patched"]}
    # Its type is said by an annotation that many share; what follows a foreign key needs no change
    assert ("public.carriers", "id", "Uuid(as_uuid=False)") in listed
    assert not any(column == "invited_by" for _, column, _ in listed | patched_news(changes))
    models, base = ((migrated.folder / "shop" / name).read_text() for name in ("models.py", "base.py"))
    assert "    id = sa.Column(sa.Uuid(as_uuid=False), primary_key=True, default=new_id)\n" in models
    assert '    subject: Mapped[str] = mapped_column("subject_id", Uuid(as_uuid=False), index=True)\n' in models
    assert "    code: Mapped[str] = mapped_column(String(40), primary_key=True)\n" in models
    assert "mapped_column(Uuid(as_uuid=False), primary_key=True, default=lambda: str(uuid4()))" in base


def patched_news(changes: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {(one["table"], one["column"], one["new"]) for one in changes if one["patched"]}
