"""Caches that cannot be rebuilt as the plan says are found before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from demo.embedded import EmbeddedValkey
from inspect_check.conftest import Counting, Database, codes, only, replank
from producer.check.check import audit
from producer.check.findings import Report
from producer.planning.resolution import PlanFile
from replank.errors import WrongUse
from replank.plan.plan import parse_plan
from replank.settings import Settings

pytestmark = pytest.mark.catalogue

TABLES = (
    "CREATE TABLE users (id text PRIMARY KEY, name text)",
    "CREATE TABLE membership (user_id text REFERENCES users, grp int, PRIMARY KEY (user_id, grp))",
    "CREATE TABLE allowed (user_id text PRIMARY KEY, groups bigint NOT NULL, at timestamptz DEFAULT now())",
    "CREATE MATERIALIZED VIEW summary AS SELECT grp, count(*) FROM membership GROUP BY grp",
)
QUERY = "SELECT user_id, count(*) AS groups FROM public.membership GROUP BY user_id"


def cached(query: str = QUERY, **more: str) -> str:
    lines = ["[[caches]]", 'kind = "table"', 'name = "allowed"', f'query = "{query}"', 'chunk_by = "user_id"']
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in more.items())]) + "\n"


@pytest.fixture
def shop(database: Database) -> Database:
    database.run(*TABLES)  # type: ignore[arg-type]
    return database


def plan_of(database: Database, caches: str, **columns: list[str]) -> PlanFile:
    text = database.plan_text(columns) + caches
    return PlanFile(plan=parse_plan(text, source="plan.toml"), source="plan.toml", text=text)


def check(database: Database, caches: str, *, url: str | None = None, **columns: list[str]) -> Report:
    settings = Settings(database_url=SecretStr(url or database.url))
    return audit(settings, plan_of(database, caches, **columns), workers=1, watch=Counting())


IDS = {"users": ["id"], "membership": ["user_id"]}


def test_a_plan_with_only_a_cache_is_fine_and_leaves_nothing(shop: Database) -> None:
    report = check(shop, cached(keep_in_step='["membership"]'))
    assert (codes(report.blockers), codes(report.warnings)) == ([], [])
    assert shop.rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replank%'") == []
    assert shop.rows("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'replank%'") == []


def test_names_that_are_nothing_have_their_line(shop: Database) -> None:
    with pytest.raises(WrongUse, match=r"plan\.toml:6: public\.alowed does not exist"):
        check(shop, cached().replace('"allowed"', '"alowed"'))
    with pytest.raises(WrongUse, match=r"plan\.toml:9: public\.nobody does not exist"):
        check(shop, cached(keep_in_step='["nobody"]'))
    with pytest.raises(WrongUse, match=r"public\.summary is a materialized view; a table is needed here"):
        check(shop, cached().replace('"allowed"', '"summary"'))
    with pytest.raises(WrongUse, match=r"public\.allowed is a table; a materialized view is needed here"):
        check(shop, '[[caches]]\nkind = "materialized_view"\nname = "allowed"\n')
    with pytest.raises(WrongUse, match=r"public\.orders does not exist"):
        check(shop, '[[caches]]\nkind = "prewarm"\ntables = ["orders"]\n')


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT user_id, 1 AS groups, 2 AS other FROM public.membership", "the table has no column other"),
        ("SELECT user_id FROM public.membership", "it does not give groups, which has no default"),
        ("SELECT user_id, 1 AS groups, 2 AS groups FROM public.membership", "it gives groups twice"),
        ("SELECT 1 AS groups", "it does not return user_id"),
    ],
)
def test_a_query_with_other_columns_is_refused(shop: Database, query: str, words: str) -> None:
    assert words in only(check(shop, cached(query)).blockers, "cache_columns").message


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT user_id, 1 AS groups FROM public.members", 'relation "public.members" does not exist'),
        ("SELECT user_id, 1 AS groups FROM membership", 'relation "membership" does not exist'),
        ("SELEC user_id", "syntax error"),
        ("SELECT user_id, now() AS groups FROM public.membership", 'column "groups" is of type bigint'),
        ("SELECT user_id, 1 AS groups FROM public.membership; DROP TABLE public.users", "syntax error"),
    ],
)
def test_a_query_that_the_server_refuses_is_refused(shop: Database, query: str, words: str) -> None:
    assert words in only(check(shop, cached(query)).blockers, "cache_query").message
    assert shop.rows("SELECT count(*) FROM users") == [(0,)]


def test_queries_are_tried_on_the_tables_as_they_will_be(shop: Database) -> None:
    # Given a cache whose own column becomes uuid with the tables' ones
    assert codes(check(shop, cached(), allowed=["user_id"], **IDS).blockers) == []
    # Then a query that works today and not tomorrow is refused
    today = "SELECT user_id || '' AS user_id, 1 AS groups FROM public.membership"
    found = only(check(shop, cached(today), allowed=["user_id"], **IDS).blockers, "cache_query")
    assert "with the new tables" in found.message
    # And one that may work tomorrow and does not today is a decision for people
    tomorrow = "SELECT uuid_extract_version(user_id) || '' AS user_id, 1 AS groups FROM public.membership"
    report = check(shop, cached(tomorrow), **IDS)
    assert only(report.warnings, "cache_query_untried").table == "public.allowed"
    assert codes(report.blockers) == []


def test_what_is_kept_in_step_must_write_values_alike(shop: Database) -> None:
    shop.run("CREATE TABLE role (member int)")
    found = check(shop, cached(keep_in_step='[{ name = "role", key = "member" }]'))
    assert "public.role.member (integer) must have the type" in only(found.blockers, "cache_columns").message
    found = check(shop, cached(keep_in_step='[{ name = "role", key = "nothing" }]'))
    assert "public.role has no column nothing" in only(found.blockers, "cache_columns").message


def test_what_hangs_on_a_cache_and_would_be_lost(shop: Database) -> None:
    shop.run("CREATE TABLE child () INHERITS (allowed)")
    assert "cache_inherited" in codes(check(shop, cached()).blockers)
    shop.run("DROP TABLE child", "CREATE TABLE above ()", "ALTER TABLE allowed INHERIT above")
    assert "cache_inherited" in codes(check(shop, cached()).blockers)
    shop.run("ALTER TABLE allowed NO INHERIT above", "DROP TABLE above")
    shop.run("CREATE SCHEMA replank_past", "CREATE TABLE replank_past.allowed ()")
    assert only(check(shop, cached()).blockers, "name_taken").details["object"] == "replank_past.allowed"
    shop.run(
        "DROP TABLE replank_past.allowed",
        "CREATE TABLE parts (user_id text, groups bigint) PARTITION BY LIST (user_id)",
    )
    found = check(shop, cached().replace('"allowed"', '"parts"'))
    assert codes(found.blockers) == ["cache_partitioned"]


def test_a_materialized_view_needs_its_unique_index(shop: Database) -> None:
    view = '[[caches]]\nkind = "materialized_view"\nname = "summary"\n'
    assert codes(check(shop, view).blockers) == ["cache_unique_index"]
    assert codes(check(shop, view + "concurrently = false\n").blockers) == []
    # A partial one, and one over an expression, do not count
    shop.run(
        "CREATE UNIQUE INDEX ON summary (grp) WHERE grp > 0",
        "CREATE UNIQUE INDEX ON summary ((grp + 1))",
    )
    assert codes(check(shop, view).blockers) == ["cache_unique_index"]
    shop.run("CREATE UNIQUE INDEX ON summary (grp)")
    assert codes(check(shop, view).blockers) == []
    shop.run("REFRESH MATERIALIZED VIEW summary WITH NO DATA")
    assert codes(check(shop, view).blockers) == ["cache_not_populated"]


@pytest.mark.contrib
def test_prewarm_needs_its_extension_and_something_to_read(shop: Database) -> None:
    found = check(shop, '[[caches]]\nkind = "prewarm"\n')
    assert codes(found.blockers) == ["cache_extension", "cache_nothing"]
    shop.run("CREATE EXTENSION pg_prewarm")
    assert codes(check(shop, '[[caches]]\nkind = "prewarm"\ntables = ["users"]\n').blockers) == []


def test_a_redis_must_be_named_and_must_answer(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = '[[caches]]\nkind = "redis"\nurl_env = "TEST_CACHE_URL"\npattern = "perm:*"\n'
    monkeypatch.delenv("TEST_CACHE_URL", raising=False)
    found = only(check(shop, cache).blockers, "cache_environment")
    assert "TEST_CACHE_URL is not set" in found.message
    with EmbeddedValkey(appendonly=False) as server:
        monkeypatch.setenv("TEST_CACHE_URL", server.url())
        assert codes(check(shop, cache).blockers) == []
        monkeypatch.setenv("TEST_CACHE_URL", server.url().replace(server.password, "wrong-secret"))
        found = only(check(shop, cache).blockers, "cache_unreachable")
        assert "wrong-secret" not in found.words
        monkeypatch.setenv("TEST_CACHE_URL", server.url())
    found = only(check(shop, cache).blockers, "cache_unreachable")
    assert "does not answer" in found.message
    assert server.password not in found.words


def test_a_role_without_the_right_is_told(shop: Database, role: Callable[[], tuple[str, str]]) -> None:
    name, url = role()
    shop.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC")
    found = check(shop, cached(keep_in_step='["membership"]'), url=url)
    said = [f.message for f in found.blockers if f.code == "no_privilege"]
    assert any(f"public.allowed is not owned by {name}" in words for words in said)
    assert any(f"public.membership is not owned by {name}" in words for words in said)


@pytest.mark.contrib
def test_the_command_line_says_so_with_its_exit_codes(shop: Database, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(shop.plan_text({}) + '[[caches]]\nkind = "prewarm"\n')
    blocked = replank("check", str(plan), url=shop.url, folder=tmp_path)
    assert blocked.returncode == 1, blocked.stderr
    assert "CREATE EXTENSION pg_prewarm" in blocked.stderr
    plan.write_text(shop.plan_text({}) + '[[caches]]\nkind = "materialized_view"\nname = "nothing"\n')
    wrong = replank("check", str(plan), url=shop.url, folder=tmp_path)
    assert wrong.returncode == 2, wrong.stderr
    assert "plan.toml:4: public.nothing does not exist" in wrong.stderr.replace(str(tmp_path) + "/", "")[:4000] or (
        "public.nothing does not exist" in wrong.stderr
    )
