"""Values that `text(…)` compares with a converted column, or writes into it: no column of a model gives them a type."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from producer.alembic.models.changes import ModelChange
from producer.alembic.models.differences import uuid_type
from producer.alembic.models.models import Models, TextStatement
from producer.history.changes.changes import Change, Table, ToUuid

_NAME = r'(?:"?\w+"?\s*\.\s*)?"?\w+"?'
_VALUE = r"(?<![:\w\\]):(\w+)\b(?!:)"
COMPARED = re.compile(rf"({_NAME})\s*(?:=|<>|!=|\bNOT\s+IN\b|\bIN\b)\s*\(?\s*{_VALUE}", re.IGNORECASE)
INSERTED = re.compile(
    rf"\bINSERT\s+INTO\s+(?:{_NAME}\s*\.\s*)?\"?(\w+)\"?\s*\(([^()]*)\)\s*VALUES\s*\(([^()]*)\)", re.IGNORECASE
)
VALUE = re.compile(_VALUE)


def own_sql(
    models: Models, changes: Iterable[Change], default_schema: str, *, as_uuid: bool = False
) -> list[ModelChange]:
    """One change for each value of a statement, for a person: SQL is found by its words, not by what it means."""
    converted: dict[Table, set[str]] = {}
    for change in changes:
        if isinstance(change, ToUuid) and change.table in models.by_table(default_schema):
            converted.setdefault(change.table, set()).add(change.column)
    found = [
        ModelChange(
            table=".".join(table),
            column=column,
            file=statement.file,
            line=statement.line,
            old=f":{value} in text(…)",
            new=f'bindparam("{value}", type_={uuid_type(as_uuid=as_uuid)})',
            patched=False,
        )
        for statement in models.statements
        for value, table, column in _values(statement, converted)
        if value not in statement.typed
    ]
    return list({(one.file, one.line, one.old): one for one in reversed(found)}.values())[::-1]


def _values(statement: TextStatement, converted: dict[Table, set[str]]) -> Iterator[tuple[str, Table, str]]:
    words = set(re.findall(r"\w+", statement.text))
    named = [table for table in converted if table[1] in words]
    for name, value in COMPARED.findall(statement.text):
        yield from _of(value, name, named, converted)
    for table, columns, values in INSERTED.findall(statement.text):
        for column, value in zip(columns.split(","), values.split(","), strict=False):
            said = VALUE.fullmatch(value.strip())
            if said is not None:
                yield from _of(said.group(1), f"{table}.{column}", named, converted)


def _of(
    value: str, name: str, named: Collection[Table], converted: dict[Table, set[str]]
) -> Iterator[tuple[str, Table, str]]:
    """Of a column as SQL names it: with its table, with an alias, or alone."""
    *qualifier, column = (part.strip().strip('"') for part in name.split("."))
    tables = [table for table in named if [table[1]] == qualifier] or named
    for table in tables:
        if column in converted[table]:
            yield value, table, column
