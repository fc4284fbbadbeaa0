"""Texts that become other ids (`name_based`) and are found where nothing changes them: they would lead nowhere."""

from __future__ import annotations

import pytest
from support.runs.attacks import Attack

from inspect_check.conftest import Database, codes, only
from producer.planning.resolution import PlanFile
from producer.starting.begin import begin_or_resume
from replank.errors import NeedsOperator
from replank.plan.plan import parse_plan
from sql.session.connection import connect

pytestmark = pytest.mark.catalogue

POSTS = (
    "CREATE TABLE post (id text PRIMARY KEY)",
    "INSERT INTO post SELECT gen_random_uuid() FROM generate_series(1, 294)",
    "INSERT INTO post SELECT 'post-' || g FROM generate_series(1, 6) AS g",
)


def _plan(database: Database, *columns: str, more: str = "") -> str:
    """post.id is name_based, and what else is said."""
    head = f'version = 1\n[database]\nname = "{database.name}"\n'
    said = f'{{name = "id", to = "uuid", on_invalid = "name_based"{more}}}'
    return head + f'[[tables]]\nname = "post"\ncolumns = [{said}]\n' + "".join(columns)


@pytest.mark.attack("C5", "name_based ids in texts, arrays, JSON and polymorphic pairs that keep their texts")
def test_references_that_would_dangle_are_counted_over_all_rows(database: Database, attack: Attack) -> None:
    # Given references of each kind, most of which are uuids, far more rows than any sample holds
    database.run(
        *POSTS,
        "CREATE TABLE tagging (tag int, taggable_type varchar, taggable_id varchar, PRIMARY KEY (tag, taggable_id))",
        "INSERT INTO tagging SELECT n, 'Post', id FROM post, generate_series(1, 100) AS n",
        "INSERT INTO tagging SELECT 1, 'Page', g::text FROM generate_series(1, 900) AS g",
        "CREATE TABLE team (id int PRIMARY KEY, posts text[], settings jsonb, old json, said text, fixed char(10))",
        "INSERT INTO team SELECT g, ARRAY[]::text[], '{}', '{}', 'a post' FROM generate_series(1, 3000) AS g",
        "UPDATE team SET posts = '{{post-1,x},{post-2,NULL}}' WHERE id = 2999",
        "UPDATE team SET settings = "
        """'{"owners": ["post-1", "post-2", "x"], "by": {"post-3": {"n": 1}}, "one": "post-1"}' WHERE id = 2998""",
        """UPDATE team SET old = '[{"p": "post-4"}, {"p": "post-4"}]' WHERE id = 2997""",
        """UPDATE team SET said = '{"p": "post-5"}', fixed = 'post-6' WHERE id = 2996""",
        "CREATE SCHEMA logs CREATE TABLE line (about text) PARTITION BY HASH (about)",
        "CREATE TABLE logs.line_0 PARTITION OF logs.line FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "INSERT INTO logs.line VALUES ('post-1'), ('post-1'), ('post-7'), (NULL)",
    )
    report = database.check_text(_plan(database))
    # Then each is a blocker with its count, and in JSON with its path
    found = {f"{f.table}.{f.column}": f for f in report.blockers if f.code == "dangling_references"}
    assert {name: f.details["count"] for name, f in found.items()} == {
        "public.tagging.taggable_id": 600,
        "public.team.posts": 2,
        "public.team.settings": 4,
        "public.team.old": 2,
        "public.team.said": 1,
        "public.team.fixed": 1,
        "logs.line.about": 2,
    }
    assert found["public.team.settings"].details["paths"] == {"$.owners[*]": 2, "$.by.keyvalue().key": 1, "$.one": 1}
    assert found["public.team.old"].details["paths"] == {"$[*].p": 2}
    assert found["public.team.said"].details["paths"] == {"$.p": 1}
    assert "$.owners[*]" in found["public.team.settings"].message
    assert all("public.post.id" in f.message and "consent" in f.hint for f in found.values())
    assert "post-1" in found["public.team.posts"].details["examples"]
    # And with the plan's consent they are warnings, with the same counts
    consented = database.check_text(_plan(database, more=', consent = ["dangling_references"]'))
    assert codes(consented.blockers) == []
    told = [f for f in consented.warnings if f.code == "dangling_references"]
    assert sum(f.details["count"] for f in told) == 612
    attack.record("a blocker for each column, counted over all rows", tried=len(found))


@pytest.mark.attack("C5", "name_based at one end of a reference without a foreign key")
def test_both_ends_must_say_it(database: Database, attack: Attack) -> None:
    database.run(
        *POSTS,
        "CREATE TABLE person (id text PRIMARY KEY, post text)",
        "INSERT INTO person SELECT gen_random_uuid(), id FROM post",
        "INSERT INTO person VALUES (gen_random_uuid(), 'gone-1')",
    )
    other = '[[tables]]\nname = "person"\ncolumns = [{{name = "post", to = "uuid", on_invalid = "{}"}}]\n'
    # At both ends: right, also for a reference whose parent is gone
    assert codes(database.check_text(_plan(database, other.format("name_based"))).blockers) == []
    # NULL there: the reference is lost, though its parent lives on
    found = only(database.check_text(_plan(database, other.format("null"))).blockers, "dangling_references")
    assert (found.table, found.column, found.details["count"]) == ("public.person", "post", 6)
    assert "becomes NULL" in found.message
    # name_based at the child alone
    head, _, rest = _plan(database, other.format("name_based")).partition("[[tables]]")
    alone = head + "[[tables]]" + rest.partition("[[tables]]")[2]
    found = only(database.check_text(alone).blockers, "dangling_references")
    assert (found.table, found.column, found.details["count"]) == ("public.post", "id", 6)
    assert "public.person.post" in found.message
    attack.record("a blocker unless both ends say it", tried=3)


@pytest.mark.attack("C5", "`run` without a `check`")
def test_a_run_refuses_what_its_check_was_not_asked_about(database: Database, attack: Attack) -> None:
    database.run(
        *POSTS,
        "CREATE TABLE tagging (id int PRIMARY KEY, taggable_id text)",
        "INSERT INTO tagging SELECT row_number() OVER (), id FROM post",
    )
    text = _plan(database)
    with connect(database.url, name="run") as connection:
        file = PlanFile(plan=parse_plan(text, source="plan.toml"), source="plan.toml", text=text)
        with pytest.raises(NeedsOperator, match=r"dangling_references public\.tagging\.taggable_id: 6 values"):
            begin_or_resume(connection, file, hold_cutover=True)
        assert database.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replank%'") == []
        text = _plan(database, more=', consent = ["dangling_references"]')
        file = PlanFile(plan=parse_plan(text, source="plan.toml"), source="plan.toml", text=text)
        assert begin_or_resume(connection, file, hold_cutover=True).run_id == 1
    attack.record("refused before the first write")


def test_where_no_value_changes_nothing_is_looked_for(database: Database) -> None:
    database.run(
        "CREATE TABLE post (id text PRIMARY KEY)",
        "INSERT INTO post SELECT gen_random_uuid() FROM generate_series(1, 9)",
        "CREATE TABLE tagging (id int PRIMARY KEY, taggable_id text)",
        "INSERT INTO tagging SELECT row_number() OVER (), id FROM post",
        "INSERT INTO tagging VALUES (99, 'post-1')",
    )
    assert "dangling_references" not in codes(database.check_text(_plan(database)).blockers)
