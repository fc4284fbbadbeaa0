"""Caches in a plan, where their mistakes stand, and the address of a Redis that is never shown whole."""

from __future__ import annotations

import pytest

from replank.addresses.cache_address import cache_address
from replank.errors import WrongUse
from replank.plan.plan import Plan, parse_plan
from replank.plan.tables.cache_plan import PrewarmPlan, TableCachePlan

pytestmark = pytest.mark.unit

PLAN = """\
version = 1
[database]
name = "shop"
[[caches]]
name = "allowed"
kind = "table"
query = "SELECT 1 AS a"
chunk_by = "a"
keep_in_step = ["billing.membership", "role"]
[[caches]]
kind = "prewarm"
tables = ["orders", "billing.invoices"]
[[caches]]
name = "sessions"
kind = "redis"
url_env = "APP_CACHE_URL"
pattern = "perm:*"
after = ["allowed"]
"""


def test_a_plan_with_nothing_but_caches_is_read() -> None:
    plan = parse_plan(PLAN, source="plan.toml")
    table, prewarm, _ = plan.caches
    assert isinstance(table, TableCachePlan)
    assert [(source.full_name, key) for source, key in table.sources] == [
        ("billing.membership", "a"),
        ("public.role", "a"),
    ]
    assert isinstance(prewarm, PrewarmPlan)
    assert prewarm.named_tables == (("public", "orders"), ("billing", "invoices"))
    # As the ledger keeps it
    assert Plan.model_validate(plan.model_dump(mode="json", by_alias=True)) == plan


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ('query = "SELECT 1 AS a"\n', "", 4, "this key is missing"),
        ('chunk_by = "a"', 'chunk_bye = "a"', 8, "unknown key"),
        ('chunk_by = "a"\n', "", 4, "keep_in_step needs chunk_by"),
        ('kind = "redis"', 'kind = "memcached"', 13, "kind must be table, materialized_view, prewarm or redis"),
        ('kind = "redis"\n', "", 13, "the key kind is missing"),
        ('url_env = "APP_CACHE_URL"', 'url_env = "redis://:secret@host"', 16, "match pattern"),
        ('after = ["allowed"]', 'after = ["sessions"]', 1, "sessions in after is not an earlier cache"),
        ('name = "sessions"', 'name = "prewarm"', 1, "cache listed twice: prewarm"),
        ('pattern = "perm:*"', 'pattern = "perm:*"\nrate = 0', 18, "at least 1"),
    ],
)
def test_every_mistake_has_its_line(before: str, after: str, line: int, words: str) -> None:
    with pytest.raises(WrongUse) as caught:
        parse_plan(PLAN.replace(before, after, 1), source="plan.toml")
    assert f"plan.toml:{line}: " in str(caught.value)
    assert words in str(caught.value)


def test_a_plan_with_nothing_to_do_is_refused() -> None:
    with pytest.raises(WrongUse, match="nothing to do: add tables, caches or steps"):
        parse_plan('version = 1\n[database]\nname = "shop"\n', source="p")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@host:6380/3", "redis://host:6380 (URL)"),
        ("rediss://:secret@host", "rediss://host:6379 (URL)"),
        ("unix://user:secret@/run/redis.sock?db=1", "unix://(socket) (URL)"),
    ],
)
def test_an_address_is_shown_without_its_login(url: str, shown: str) -> None:
    found = cache_address("URL", {"URL": f" {url}\n"})
    assert (found.url, found.shown) == (url, shown)
    assert "secret" not in repr(found)


@pytest.mark.parametrize("url", ["", "  ", "http://secret@host", "redis://:se/cret@host", "redis://[secret", "secret"])
def test_what_is_no_address_is_refused_without_a_word_of_it(url: str) -> None:
    with pytest.raises(WrongUse, match="the environment variable URL") as caught:
        cache_address("URL", {"URL": url})
    assert "secret" not in str(caught.value)
    assert "cret" not in str(caught.value)
