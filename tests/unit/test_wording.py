"""Counted nouns agree with their numbers; and no message writes a plural after a number by itself."""

import ast
import re
from pathlib import Path

import pytest

from replank.wording import counted, plural_of, verb

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]

NOUNS = (
    "rows keys jobs tables sets changes attempts columns sessions workers processes indexes partitions scripts "
    "proposals queries statements errors orphans databases changes texts writes retries"
)
BY_ITSELF = re.compile(rf"\x00 ((?!and )\w+ )?({NOUNS.replace(' ', '|')})\b")
"""A number that is put in, and a plural behind it."""

FINE = re.compile(
    r"after \x00 rounds|^All \x00 tables of the plan"
    r"|limit is 1 to \x00 jobs|\x00 (names|evicts|compares|lacks|says|keeps|excludes) |has partitions of|rows/s"
    r"|more than \x00|\x00 jobs, for example|^\x00 tables$|^\x00 rows: \x00$|attempts: other sessions hold it"
)
"""What is put in is a name, a rate, a limit, or is known to be more than one."""


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (0, "key", "0 keys"),
        (1, "key", "1 key"),
        (2, "index", "2 indexes"),
        (1, "process", "1 process"),
        (3, "process", "3 processes"),
        (4, "retry", "4 retries"),
        (1_200, "logged change", "1,200 logged changes"),
    ],
)
def test_nouns(count: int, noun: str, said: str) -> None:
    assert counted(count, noun) == said


def test_verbs() -> None:
    assert counted(1, "key", "differs") == "1 key differs"
    assert counted(2, "key", "differs") == "2 keys differ"
    assert [verb(2, word) for word in ("is", "was", "has", "does", "its", "it", "stays", "lies")] == [
        "are",
        "were",
        "have",
        "do",
        "their",
        "they",
        "stay",
        "lie",
    ]
    assert plural_of("key") == "keys"


def _messages(path: Path) -> list[str]:
    """Texts with values in them, each value as a zero byte."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "\x00" for part in node.values]
            found.append("".join(parts))
    return found


def test_no_message_puts_a_plural_behind_a_number_by_itself() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {text!r}"
        for folder in ("producer", "monitoring", "sql", "workers", "replank")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for text in _messages(path)
        if BY_ITSELF.search(text) and not FINE.search(text)
    ]
    assert wrong == []
