"""One word for one thing: docs/glossary.md, and no second word for any of them in what people read.

A second word is forbidden by standing in the glossary's third column.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from support.runs.commands import commands

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
FOLDERS = ("replank", "sql", "monitoring", "producer", "workers", "demo")

OF_THEIR_TIME = ("glossary.md", "decisions.md", "reliability.md")
"""The glossary names the words, the other two are records."""

PLAIN: Mapping[str, str] = {
    "in other hands": "leased by another worker",
    "wishes": "options, settings",
    "standstill": "idle",
    "panicked": "panic",
}
"""Words that name nothing of the glossary and stand for a plainer one all the same."""


def _rows() -> Iterator[tuple[str, str, list[str]]]:
    """Word, meaning and second words of each line."""
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith("| word |"):
            word, meaning, second = (cell.strip() for cell in line.strip("|").split("|"))
            yield word, meaning, [each.strip() for each in second.split(",") if each.strip()]


SECOND = {second: word for word, _, several in _rows() for second in several}


@cache
def _texts() -> tuple[tuple[str, str], ...]:
    """Place and text of everything that people read: documents, messages, help, the page."""
    found = [*_documents(), *_help(), *_page()]
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found += _messages(path)
    return tuple(found)


def _documents() -> Iterator[tuple[str, str]]:
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        if path.name not in OF_THEIR_TIME:
            # A sentence is broken where the line is full.
            yield path.name, " ".join(path.read_text(encoding="utf-8").split())


def _help() -> Iterator[tuple[str, str]]:
    for name, command in commands():
        yield f"{name} --help", " ".join(command.help.split())


def _page() -> Iterator[tuple[str, str]]:
    for folder in ("page", "report", "flower"):
        for path in sorted((ROOT / "monitoring" / folder).rglob("*")):
            if path.suffix == ".js":
                text = path.read_text(encoding="utf-8")
                for said in re.findall(r'"[^"\n]* [^"\n]*"|`[^`]* [^`]*`', text):
                    yield str(path.relative_to(ROOT)), said
            elif path.suffix == ".j2":
                yield str(path.relative_to(ROOT)), " ".join(path.read_text(encoding="utf-8").split())


def _messages(path: Path) -> Iterator[tuple[str, str]]:
    """Literals of several words; no docstrings, and no SQL."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.add(id(node.value))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "SQL":
            left_out |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            words = node.value.split()
            if len(words) > 1:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", " ".join(words)


def _places(word: str) -> list[str]:
    pattern = re.compile(rf"\b{re.escape(word)}s?\b", re.IGNORECASE)
    return [place for place, text in _texts() if pattern.search(text)]


def test_each_word_stands_once_with_one_or_two_sentences() -> None:
    words = [word for word, _, _ in _rows()]
    assert len(words) == len(set(words)) >= 30
    for word, meaning, _ in _rows():
        sentences = re.findall(r"[.](?: |$)", meaning)
        assert meaning.endswith("."), word
        assert 1 <= len(sentences) <= 2, word


def test_no_second_word_is_a_word_of_the_glossary_or_stands_for_two() -> None:
    several = [second for _, _, found in _rows() for second in found]
    assert sorted(several) == sorted(set(several))
    assert not set(several) & {word for word, _, _ in _rows()}


def test_every_folder_is_read() -> None:
    """The scan would find what is there: a word of each kind of text."""
    places = " ".join(_places("table"))
    kinds = ("README.md", "finish --help", "static/tables.js", "page.html.j2", "producer/", "monitoring/", "demo/")
    assert [kind for kind in kinds if kind not in places] == []


@pytest.mark.parametrize("second", sorted(SECOND.keys() | PLAIN.keys()))
def test_a_second_word_is_nowhere(second: str) -> None:
    instead = SECOND.get(second) or PLAIN[second]
    assert _places(second) == [], f"say: {instead}"
