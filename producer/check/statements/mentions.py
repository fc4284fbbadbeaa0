"""Program text that may break: statements the server has seen, and functions that name a planned table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import errors
from psycopg.sql import Identifier

from producer.check.findings import Finding, warning
from producer.check.statements.comparisons import compares, word
from producer.planning.prepared_run import PreparedRun, Subject
from replank.wording import counted
from sql.session.connection import Connection, row, rows
from sql.session.named_queries import query
from sql.session.server_message import without_rows

STATEMENTS = 5_000
SHOWN_STATEMENTS = 50
SHOWN_LENGTH = 200

# Operators and functions that exist for text and not for uuid. A cast to text in between makes them work.
_AFTER = r"\s*(?:(?:NOT\s+)?I?LIKE\b|(?:NOT\s+)?SIMILAR\s+TO\b|!?~~?\*?|\|\|)"
_FUNCTIONS = (
    "left|right|substr|substring|lower|upper|starts_with|position|strpos|split_part|replace|regexp_replace|length"
    "|char_length|concat|trim|btrim"
)
_BEFORE = rf"(?:\|\|\s*|\b(?:{_FUNCTIONS})\s*\(\s*)"


@dataclass(frozen=True, kw_only=True)
class _Names:
    """How a converted column's table and the column itself are found in program text."""

    subject: Subject
    column: str
    becomes: str
    table: re.Pattern[str]
    breaking: re.Pattern[str]


_UNREADABLE = (errors.ObjectNotInPrerequisiteState, errors.InsufficientPrivilege)


def seen_statements(connection: Connection) -> list[dict[str, Any]]:
    """`query` and `calls` of what pg_stat_statements knows of this database; nothing where it may not be read."""
    try:
        return _read_statements(connection)
    except _UNREADABLE:
        return []


def _read_statements(connection: Connection) -> list[dict[str, Any]]:
    """The same; nothing where it is not installed. Raises _UNREADABLE where it may not be read."""
    extension = row(connection, query("audit.statements_schema"))
    if extension is None:
        return []
    view = Identifier(extension["schema"], "pg_stat_statements")
    with connection.transaction():
        return rows(connection, query("audit.statements").format(view=view, limit=STATEMENTS))


def audit_statements(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """Statements of pg_stat_statements that use text operators on a converted column."""
    try:
        seen = _read_statements(connection)
    except _UNREADABLE as error:
        return [
            warning(
                "statements_unknown",
                f"pg_stat_statements is installed and cannot be read: {without_rows(error)}",
                hint="Add it to shared_preload_libraries, or grant pg_read_all_stats.",
            )
        ]
    names = list(_names(audited.subjects))
    found = [finding for entry in seen if (finding := _breaks(entry["query"] or "", entry["calls"], names))]
    return found[:SHOWN_STATEMENTS]


def _names(subjects: Sequence[Subject]) -> Iterator[_Names]:
    for subject in subjects:
        table = re.compile(word(subject.live.name))
        for column in subject.converted:
            reference = rf"(?:[\w\"]+\s*\.\s*)*{word(column.name)}"
            yield _Names(
                subject=subject,
                column=column.name,
                becomes=column.next_type,
                table=table,
                breaking=re.compile(rf"{reference}(?i:{_AFTER})|(?i:{_BEFORE}){reference}(?!\s*::)(?![\w\"])"),
            )


def _breaks(statement: str, calls: int, names: Sequence[_Names]) -> Finding | None:
    for entry in names:
        if entry.breaking.search(statement) and entry.table.search(statement):
            shown = " ".join(statement.split())[:SHOWN_LENGTH]
            return warning(
                "query_will_break",
                f"called {counted(calls, 'time')}, uses a text operator on a column that becomes "
                f"{entry.becomes}: {shown}",
                hint=f"Cast it ({entry.column}::text) or compare whole values before the cutover.",
                table=entry.subject.name,
                column=entry.column,
                calls=calls,
                query=shown,
            )
    return None


def audit_functions(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """Functions whose body names a planned table, and its trigger functions that name a planned column."""
    wanted = {s.live.name for s in audited.subjects} | {c.name for s in audited.subjects for c in s.converted}
    seen = rows(connection, query("audit.functions_naming"), {"names": sorted(wanted), "oids": audited.oids})
    found: list[Finding] = []
    for function in seen:
        named: list[_Mention] = []
        for subject in audited.subjects:
            compared = compares(function["function"], function["body"], function["texts"], subject)
            mention = None if compared else _mention(function["body"], function["trigger_of"], subject)
            found += [compared] if compared else []
            named += [mention] if mention else []
        found += [_mentioned(function["function"], named)] if named else []
    return found


@dataclass(frozen=True, kw_only=True)
class _Mention:
    """What a function says of one table: its name (else it is its trigger's), and columns that become another type."""

    table: str
    fires: bool
    columns: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def words(self) -> str:
        what = f"is a trigger function of {self.table}" if self.fires else f"names table {self.table}"
        if not self.columns:
            return what
        return f"{what} and {', '.join(self.columns)}, which becomes {', '.join(self.types)}"


def _mention(body: str, trigger_of: Sequence[int], subject: Subject) -> _Mention | None:
    names_table = re.search(word(subject.live.name), body) is not None
    named = [c for c in subject.converted if re.search(word(c.name), body)]
    if not (names_table or (subject.live.oid in trigger_of and named)):
        return None
    return _Mention(
        table=subject.name,
        fires=not names_table,
        columns=tuple(c.name for c in named),
        types=tuple(dict.fromkeys(c.next_type for c in named)),
    )


def _mentioned(function: str, named: Sequence[_Mention]) -> Finding:
    """One for each function. With several tables it is no table's own."""
    alone = named[0] if len(named) == 1 else None
    return warning(
        "function_mentions",
        f"function {function} {'; '.join(mention.words for mention in named)}",
        hint="Variables and parameters declared as text need a cast against it: read it, try it on a copy.",
        table=alone.table if alone else None,
        column=alone.columns[0] if alone and alone.columns else None,
        function=function,
        tables=[mention.table for mention in named],
    )
