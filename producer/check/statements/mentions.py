"""Program text that may break: functions that name a planned table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from producer.check.findings import Finding, warning
from producer.check.statements.comparisons import Code, compares
from producer.planning.prepared_run import PreparedRun, Subject
from sql.session.connection import Connection, rows
from sql.session.named_queries import query


def audit_functions(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """Functions whose body names a planned table, and its trigger functions that name a planned column."""
    wanted = {s.live.name for s in audited.subjects} | {c.name for s in audited.subjects for c in s.converted}
    seen = rows(connection, query("audit.functions_naming"), {"names": sorted(wanted), "oids": audited.oids})
    found: list[Finding] = []
    for function in seen:
        named: list[_Mention] = []
        body = Code(function["body"])
        for subject in audited.subjects:
            compared = compares(function["function"], body, function["texts"], subject)
            mention = None if compared else _mention(body, function["trigger_of"], subject)
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


def _mention(body: Code, trigger_of: Sequence[int], subject: Subject) -> _Mention | None:
    names_table = body.names(subject.live.name)
    if not names_table and subject.live.oid not in trigger_of:
        return None
    named = [c for c in subject.converted if body.names(c.name)]
    if not (names_table or named):
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
