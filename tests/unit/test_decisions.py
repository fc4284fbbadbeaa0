"""The form of docs/decisions.md: each decision has a number, a title, a date, a status, and stands under a subject."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")

STATUS = re.compile(r"holds|withdrawn|(?:amended|replaced) by (\d+)")
LONGEST_TITLE = 120


@dataclass(frozen=True, kw_only=True)
class Decision:
    number: int
    title: str
    decided: str
    status: str
    reason: str


def _decisions() -> Iterator[Decision]:
    for part in re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]:
        part = re.split(r"^## ", part, flags=re.MULTILINE)[0]
        head, line, *reason = part.strip().split("\n\n")
        number, title = head.split(". ", 1)
        decided, status = line.split(" · ")
        yield Decision(number=int(number), title=title, decided=decided, status=status, reason="\n\n".join(reason))


DECISIONS = list(_decisions())
NUMBERS = [one.number for one in DECISIONS]


def test_numbers_are_given_once_and_without_gaps() -> None:
    assert sorted(NUMBERS) == list(range(1, max(NUMBERS) + 1))


def test_titles_are_given_once() -> None:
    titles = [one.title for one in DECISIONS]
    assert sorted(titles) == sorted(set(titles))
    assert [title for title in titles if title.endswith(".") or len(title) > LONGEST_TITLE] == []


@pytest.mark.parametrize("one", DECISIONS, ids=lambda one: str(one.number))
def test_each_has_a_date_a_status_and_a_reason(one: Decision) -> None:
    assert date.fromisoformat(one.decided).isoformat() == one.decided
    found = STATUS.fullmatch(one.status)
    assert found, one.status
    assert one.reason
    if found[1] is not None:
        assert int(found[1]) in NUMBERS
        assert int(found[1]) > one.number, "only a later decision can say otherwise"


def test_each_subject_has_decisions_in_the_order_of_their_numbers() -> None:
    subjects = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    assert "### " not in re.split(r"^## ", TEXT, flags=re.MULTILINE)[0], "a decision stands under no subject"
    names = [subject.splitlines()[0] for subject in subjects]
    assert sorted(names) == sorted(set(names))
    for name, subject in zip(names, subjects, strict=True):
        numbers = [int(number) for number in re.findall(r"^### (\d+)\. ", subject, re.MULTILINE)]
        assert numbers, name
        assert numbers == sorted(numbers), name


def test_whoever_names_a_decision_names_one_that_is_there() -> None:
    named = re.compile(r"\bdecisions? (\d+)\b", re.IGNORECASE)
    folders = ("replank", "sql", "monitoring", "producer", "workers", "demo", "docs", "tests", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".sql")]
    found = {int(number) for path in files for number in named.findall(path.read_text(encoding="utf-8"))}
    assert 3 in found, "what decision 55 says of another one is found"
    assert found <= set(NUMBERS)
