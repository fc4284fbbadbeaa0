"""Functions that compare an id with a parameter or variable of text: they work until the column is a uuid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from producer.check.findings import Finding, warning
from producer.planning.prepared_run import Subject

_TYPES = r"(?:text|varchar|character\s+varying|char|character|bpchar)\b"
_DECLARED = re.compile(rf"(?im)(?:^|;|\bdeclare\b)\s*(\w+)\s+(?:constant\s+)?{_TYPES}")
"""A variable of PL/pgSQL: `wanted text := …`."""

_OPERATOR = r"\s*(?:=|<>|!=|<=|>=|<|>|(?:NOT\s+)?IN\s*\(|IS\s+(?:NOT\s+)?DISTINCT\s+FROM)\s*(?:ANY\s*\(|ALL\s*\()?\s*"

_WORD = re.compile(r"[\w$]+")
_ARRAY = re.compile(r"(?i)\b(?:ANY|ALL)\s*\(")


def word(name: str) -> str:
    """A pattern for an identifier in SQL: quoted exactly, or bare in any case if it needs no quotes."""
    quoted = re.escape('"' + name.replace('"', '""') + '"')
    if re.fullmatch(r"[a-z_][a-z0-9_$]*", name):
        return rf"(?:{quoted}|(?<![\w\"$])(?i:{re.escape(name)})(?![\w\"$]))"
    return quoted


class Code:
    """A text of SQL that is asked for many names: its words are taken apart once, however many names there are."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._words = _words(text)

    def names(self, identifier: str) -> bool:
        """Whether the identifier stands in it, as `word` says."""
        return self._words.issuperset(_words_of_name(identifier)) and _pattern(identifier).search(self.text) is not None


def _words(text: str) -> frozenset[str]:
    return frozenset(found.casefold() for found in _WORD.findall(text))


@cache
def _words_of_name(name: str) -> frozenset[str]:
    return _words(name)


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(word(name))


def compares(function: str, body: Code, texts: Sequence[str], subject: Subject) -> Finding | None:
    """The first such comparison with a column of this table that is converted; `texts` are parameters of text."""
    if not body.names(subject.live.name):
        return None
    for column in (column for column in subject.converted if body.names(column.name)):
        for name in _texts(body.text, texts, subject):
            if found := _compared(column.name, name).search(body.text):
                becomes = f"{column.next_type}[]" if _ARRAY.search(found.group()) else column.next_type
                works = f"{column.name}::{column.next_type} = {_with(name, becomes)}"
                return warning(
                    "function_compares_text",
                    f"function {function} names table {subject.name} and compares {column.name}, which becomes "
                    f"{column.next_type}, with {name}, which is text: it will fail, as {column.next_type} = text has "
                    "no operator",
                    hint=f"Cast both sides ({works}): that works before the cutover and after it. Until the cutover it "
                    f"uses no index on {column.name}, and fails on a value that is no {column.next_type}; from then on "
                    f"the cast of the column does nothing, and its index is used. {name}::{becomes} alone fails until "
                    "the cutover: it is for the same deployment as the cutover"
                    + ("." if column.enum else "; `text_casts` in the plan's options bridges the time between."),
                    table=subject.name,
                    column=column.name,
                    function=function,
                    parameter=name,
                )
    return None


def _with(name: str, becomes: str) -> str:
    return f"ANY ({name}::{becomes})" if becomes.endswith("[]") else f"{name}::{becomes}"


def _texts(body: str, parameters: Sequence[str], subject: Subject) -> Iterator[str]:
    """Names of texts in a function. One that is called as a column would be that column in SQL: only with a dot."""
    columns = {column.name for column in subject.live.columns}
    for name in dict.fromkeys([*parameters, *(found.group(1).lower() for found in _DECLARED.finditer(body))]):
        if name not in columns:
            yield name


def _compared(column: str, name: str) -> re.Pattern[str]:
    reference = rf"(?:[\w\"]+\s*\.\s*)*{word(column)}(?!\s*::)"
    text = rf"{re.escape(name)}(?!\d)" if name.startswith("$") else rf"(?:[\w\"]+\s*\.\s*)?{word(name)}"
    text += r"(?!\s*::)(?!\s*\()"
    return re.compile(rf"(?i:{reference}{_OPERATOR}{text}|{text}{_OPERATOR}{reference})")
