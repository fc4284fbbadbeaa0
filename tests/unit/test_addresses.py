"""No address that anybody may write shows its secret."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from replank.addresses.addresses import hide, shown, well_formed
from replank.settings import without_password

pytestmark = pytest.mark.unit

SECRET = "xQz7"
"""In every password below; nothing else holds it."""

SCHEMES = st.sampled_from(["postgresql", "postgres", "redis", "rediss", "postgresql+psycopg", "sentinel"])
AROUND = st.text(st.sampled_from("/@:?#%&=[] ,;'\"\\ab1"), max_size=6)


@given(SCHEMES, AROUND, AROUND, st.sampled_from(["", "user", "some.one"]), st.sampled_from(["", "/0", "/shop?a=b@c"]))
@example("postgresql", "pa/", "", "user", "/shop")
@example("postgresql", "p@", "@", "user", "/shop")
@example("redis", "", "/x", "", "/0")
@example("postgresql", "?", "", "user", "/shop?a=b@c")
@example("redis", "@", "?", "", "/0")
def test_a_password_is_never_shown_however_it_is_written(
    scheme: str, before: str, after: str, user: str, end: str
) -> None:
    url = f"{scheme}://{user}:{before}{SECRET}{after}@db.example:5432{end}"
    # A library that takes a wrong URL apart in its own way names any part of it.
    password = f"{before}{SECRET}{after}"
    part = password if well_formed(url) else next(p for p in re.split(r"[/@:?#&=,\[\]]", password) if SECRET in p)
    for text in (shown(url), without_password(url), hide(f"cannot connect to {url}: bad port {part}", [url])):
        assert SECRET not in text, (url, text)


@given(st.text(st.sampled_from("/@:?#%&=[]ab1"), max_size=8))
def test_one_that_is_written_properly_shows_all_but_its_password(password: str) -> None:
    url = f"postgresql://some.one:{quote(password + SECRET, safe='')}@db.example:5432/shop?sslmode=require"
    assert well_formed(url)
    assert shown(url) == "postgresql://some.one:***@db.example:5432/shop"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://db/shop", "postgresql://db/shop"),
        ("postgresql:///shop?host=/run/postgresql", "postgresql:///shop"),
        ("postgresql://a@h1:1,h2:2/shop", "postgresql://a@h1:1,h2:2/shop"),
        ("postgresql://[::1]:5432/shop", "postgresql://[::1]:5432/shop"),
        ("redis+socket:///run/redis.sock", "redis+socket:///run/redis.sock"),
        (f"postgresql://user:{SECRET}", "postgresql://***"),
        (f"postgresql:///shop?password={SECRET}@x", "postgresql://***"),
        (f"host=db password={SECRET}", "(a connection string)"),
    ],
)
def test_other_forms(url: str, said: str) -> None:
    assert shown(url) == said
    assert SECRET not in hide(url, [url])


def _texts(tree: ast.AST) -> Iterator[str]:
    """All that a module may say: its strings, without docstrings."""
    for node in ast.walk(tree):
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and not isinstance(node, ast.Expr):
                yield inner.value


def test_examples_in_our_own_messages_are_not_taken_for_secrets() -> None:
    """A message that shows how a URL is written shows all of it, password included."""
    root = Path(__file__).parents[2]
    files = [
        file for package in ("replank", "sql", "monitoring", "producer") for file in (root / package).rglob("*.py")
    ]
    texts = [text for file in files for text in _texts(ast.parse(file.read_text(encoding="utf-8")))]
    examples = [text for text in texts if re.search(r"\w://\S*@", text)]
    assert len(examples) > 3
    for text in examples:
        assert hide(text, []) == text
    # One that somebody really uses is hidden all the same
    assert "password" not in hide("cannot connect to postgresql://user:password@host/shop", ["redis://:password@db"])
