"""`replank catalogue-diff`: what the plan asked for is explained, anything else is not."""

import json
import os
from collections.abc import Callable
from io import StringIO
from typing import Any

import psycopg
import pytest
from rich.console import Console
from support.runs.forking import run_command
from support.runs.harness import Rebuild, table

from monitoring.catalogue_diff.changes import CatalogueChange, catalogue_changes
from monitoring.catalogue_diff.grouping import group_changes
from monitoring.catalogue_diff.rendering import render_changes

pytestmark = [pytest.mark.protocol, pytest.mark.catalogue]

Begin = Callable[..., Rebuild]


def _changes(rebuild: Rebuild) -> dict[str, CatalogueChange]:
    return {change.to_json()["object"]: change for change in catalogue_changes(rebuild.connection, rebuild.run)}


@pytest.fixture
def rebuild(app: psycopg.Connection, begin: Begin) -> Rebuild:
    app.execute(
        'CREATE TABLE "Par ent" (id text PRIMARY KEY DEFAULT gen_random_uuid()::text, n serial, note varchar(9))'
    )
    app.execute(
        'CREATE TABLE child (id int PRIMARY KEY, parent_id varchar(36) NOT NULL REFERENCES "Par ent", made date)'
    )
    app.execute("CREATE INDEX child_parent ON child (parent_id) WHERE id > 3")
    app.execute("COMMENT ON TABLE child IS 'a child'")
    return begin(
        table("Par ent", "id"),
        table(
            "child",
            "parent_id",
            add=[{"name": "token", "type": "uuid", "default": "gen_random_uuid()", "unique": True, "not_null": True}],
            fill=[{"name": "made", "value": "'2020-01-01'", "not_null": True, "on_update": "now()::date"}],
        ),
    )


def test_nothing_has_changed_while_the_run_is_under_way(rebuild: Rebuild) -> None:
    assert _changes(rebuild) == {}
    rebuild.ready()
    assert _changes(rebuild) == {}


def test_every_change_of_the_plan_is_explained(rebuild: Rebuild) -> None:
    rebuild.finish()
    told = {name: change.reason for name, change in _changes(rebuild).items()}
    assert told == {
        'column public."Par ent" id': "the plan makes it uuid",
        "column public.child parent_id": "the plan makes it uuid",
        "column public.child made": "the plan fills it",
        "column public.child token": "the plan adds it",
        "constraint public.child child_token_key": "the plan asks for a column that is unique or not null",
        "index public.child child_token_key": "the plan asks for a column that is unique or not null",
        "trigger public.child child_on_update": "the plan asks for what every update puts there",
    } | {name: words for name, words in told.items() if "not_null" in name}
    assert all(told.values())


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("DROP INDEX child_parent", "index public.child child_parent"),
        ("COMMENT ON TABLE child IS 'another'", "table public.child"),
        ("GRANT SELECT ON child TO PUBLIC", "privileges public.child"),
        ("ALTER TABLE child ALTER made SET STATISTICS 7", "column public.child made"),
        ("ALTER TABLE child DROP COLUMN made", "column public.child made"),
        ('ALTER SEQUENCE "Par ent_n_seq" INCREMENT 5', 'sequence public."Par ent" Par ent_n_seq'),
        ("CREATE POLICY p ON child USING (true)", "policy public.child p"),
        ("ALTER TABLE child DROP CONSTRAINT child_parent_id_fkey", "constraint public.child child_parent_id_fkey"),
    ],
)
def test_what_no_plan_asked_for_is_not(app: psycopg.Connection, rebuild: Rebuild, change: str, found: str) -> None:
    rebuild.finish()
    app.execute(change.encode())
    unexplained = [name for name, told in _changes(rebuild).items() if not told.explained]
    assert unexplained == [found]


PARTS = """
CREATE TABLE event (id varchar(36), at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE INDEX event_at ON event (at);
"""


@pytest.fixture
def partitioned(app: psycopg.Connection, begin: Begin) -> Rebuild:
    """Thirteen partitions, and two tables whose keys are called `id` too."""
    app.execute(PARTS)
    for month in range(13):
        app.execute(
            f"CREATE TABLE event_{month} PARTITION OF event"
            f" FOR VALUES FROM (date '2026-01-01' + {month}) TO (date '2026-01-01' + {month + 1})"
        )
    app.execute("CREATE TABLE actor (id varchar(36) PRIMARY KEY); CREATE TABLE place (id text PRIMARY KEY)")
    rebuild = begin(table("event", "id"), table("actor", "id"), table("place", "id"))
    rebuild.finish()
    return rebuild


def _lines(rebuild: Rebuild) -> dict[str, tuple[str, str]]:
    groups = group_changes(catalogue_changes(rebuild.connection, rebuild.run))
    return {group.objects: (group.change, group.reason) for group in groups}


def test_what_says_the_same_is_one_line(partitioned: Rebuild) -> None:
    assert _lines(partitioned) == {
        "column id of public.actor; public.event and its 13 partitions": (
            "character varying(36) → uuid",
            "the plan makes it uuid",
        ),
        "column id of public.place": ("text → uuid", "the plan makes it uuid"),
    }


def test_what_nobody_asked_for_is_one_line_for_all_partitions(app: psycopg.Connection, partitioned: Rebuild) -> None:
    app.execute("DROP INDEX event_at")
    app.execute("ALTER TABLE event_3 SET (fillfactor = 50)")
    changes = catalogue_changes(partitioned.connection, partitioned.run)
    unexplained = [group for group in group_changes(changes) if not group.explained]
    assert [(group.change, len(group.changes)) for group in unexplained] == [("gone", 14), ("changed", 1)]
    assert unexplained[0].objects.startswith(
        "14 indexes of public.event and its 13 partitions: event_at, event_0_at_idx"
    )
    assert unexplained[1].objects == "table of public.event_3"
    shown = Console(width=160, file=StringIO(), record=True)
    shown.print(render_changes(changes))
    words = shown.export_text()
    assert "and 13 alike" in words
    assert words.count("nothing in the plan asks for it") == 2


def test_partitions_that_the_plan_makes_are_one_line(app: psycopg.Connection, begin: Begin) -> None:
    app.execute("CREATE TABLE entry (id text PRIMARY KEY, n int NOT NULL, note text); CREATE INDEX ON entry (note)")
    rebuild = begin(table("entry", "id", partition={"by": "hash", "column": "id", "count": 5}))
    rebuild.finish()
    lines = _lines(rebuild)
    assert lines["5 partitions of public.entry with all that hangs on them"] == ("new", "the plan partitions the table")
    assert len(lines) <= 4


def test_programs_find_both_lists(partitioned: Rebuild, app: psycopg.Connection, database: str) -> None:
    def told() -> tuple[int, dict[str, Any]]:
        ended = run_command("catalogue-diff", "--json", "--database-url", database, environment=os.environ)
        return ended.returncode, json.loads(ended.stdout.splitlines()[-1])

    status, document = told()
    assert (status, document["unexplained"]) == (0, [])
    assert len(document["explained"]) == 16
    assert {
        "object": "column public.place id",
        "before": 'text; not null; collation "default"; storage x; statistics -1',
        "after": "uuid; not null; storage p; statistics -1",
        "reason": "the plan makes it uuid",
    } in document["explained"]
    app.execute("COMMENT ON TABLE place IS 'here'")
    status, document = told()
    assert status == 1
    (found,) = document["unexplained"]
    assert found.keys() == {"object", "before", "after", "reason"}
    assert (found["object"], found["reason"]) == ("table public.place", "nothing in the plan asks for it")
    assert partitioned.run.run_id
