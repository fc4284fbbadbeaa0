"""Statements that the server has seen and that fail from the cutover on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from producer.check.findings import Finding, warning
from producer.check.statements.seen import STATEMENTS, UNREADABLE, AllSeen, Seen, read_statements
from producer.check.statements.usage.expressions import Used
from producer.check.statements.usage.known import Functions, Known, Table, kept_column, known
from producer.check.statements.usage.parsing import Unparsable
from producer.check.statements.usage.reader import read_statement
from producer.planning.prepared_run import PreparedRun
from replank.wording import counted, verb
from sql.session.connection import Connection, rows
from sql.session.named_queries import query
from sql.session.server_message import without_rows

SHOWN_STATEMENTS = 50
SHOWN_LENGTH = 200
SHOWN_USES = 3
_SORTS = ("text_operator", "text_value", "conflict_target")
_WORD = re.compile(r"[\w$]+")


def audit_statements(connection: Connection, audited: PreparedRun) -> list[Finding]:
    """What pg_stat_statements knows of this database, read with the new types of the plan's columns in mind."""
    try:
        seen = read_statements(connection)
    except UNREADABLE as error:
        return [
            warning(
                "statements_unknown",
                f"pg_stat_statements is installed and cannot be read: {without_rows(error)}",
                hint="Add it to shared_preload_libraries, or grant pg_read_all_stats.",
            )
        ]
    if not seen.statements:
        return list(_limits(seen))
    text_casts = audited.plan.options.text_casts
    others = read_other_tables(connection, audited)
    what = known(audited.subjects, others, read_functions(connection), text_casts=text_casts)
    return [*_limits(seen), *find(seen.statements, what)]


def read_functions(connection: Connection) -> Functions:
    """The server's functions, sorted by whether they take or give texts."""
    listed = rows(connection, query("audit.text_functions"))
    return Functions(
        text_only=frozenset((one["name"], one["position"]) for one in listed if one["takes"]),
        give_text=frozenset(one["name"] for one in listed if not one["takes"]),
    )


def read_other_tables(connection: Connection, audited: PreparedRun) -> list[Table]:
    """The tables and views outside of the plan, with their columns."""
    made = []
    for one in rows(connection, query("audit.other_columns"), {"oids": audited.oids}):
        name = f"{one['schema']}.{one['name']}"
        columns = {c: kept_column(name, c, type_) for c, type_ in zip(one["columns"], one["types"], strict=True)}
        made.append(Table(schema=one["schema"], full_name=name, columns=columns))
    return made


def _limits(seen: AllSeen) -> Iterator[Finding]:
    """What was not seen of the application's statements."""
    if seen.hidden:
        yield warning(
            "statements_hidden",
            f"{seen.hidden:,} of {counted(seen.known, 'entry')} of pg_stat_statements "
            f"{verb(seen.hidden, 'is')} of other roles, whose statements this role may not read: what the application "
            "sends is not known",
            hint="GRANT pg_read_all_stats to the role that runs the check, and check again.",
            hidden=seen.hidden,
            entries=seen.known,
        )
    if len(seen.statements) == STATEMENTS:
        yield warning(
            "statements_unread",
            f"pg_stat_statements has more than {STATEMENTS:,} statements of this database: only the most called ones "
            "were read",
            hint="Look for the rest by hand (docs/clients.md).",
        )


def find(statements: Sequence[Seen], what: Known) -> Iterator[Finding]:
    """A warning for each statement and each way in which it fails; the most called ones first."""
    unread = 0
    found: list[Finding] = []
    plain = frozenset(name for name in what.tables if _WORD.fullmatch(name))
    odd = [name for name in what.tables if name not in plain]
    for seen in statements:
        if not _names_a_table(seen.query, plain, odd):
            continue
        try:
            uses = read_statement(seen.query, what)
        except Unparsable:
            unread += 1
            continue
        for sort in _SORTS:
            of_sort = [use for use in uses if use.what == sort]
            if of_sort:
                found.append(_finding(seen, of_sort))
    yield from found[:SHOWN_STATEMENTS]
    if len(found) > SHOWN_STATEMENTS:
        more = len(found) - SHOWN_STATEMENTS
        yield warning(
            "queries_not_shown",
            f"{counted(more, 'more warning')} of this kind about statements that are called less often",
            hint="Change what is shown, reset pg_stat_statements, and check again after a day.",
            warnings=more,
        )
    if unread:
        yield warning(
            "statements_unread",
            f"{counted(unread, 'statement')} of pg_stat_statements that {verb(unread, 'names')} a planned "
            "table could not be parsed",
            hint="Look for casts of ids to text in them by hand (docs/clients.md).",
            statements=unread,
        )


def _names_a_table(statement: str, plain: frozenset[str], odd: Sequence[str]) -> bool:
    """Whether a planned table's name is in the text at all: most statements need no tree. `plain` are single words."""
    found = set(_WORD.findall(statement))
    if not plain.isdisjoint(found) or not plain.isdisjoint({one.lower() for one in found}):
        return True
    return any(name in statement for name in odd)


def _finding(seen: Seen, uses: Sequence[Used]) -> Finding:
    """One warning for uses of one sort."""
    shown = " ".join(seen.query.split())[:SHOWN_LENGTH]
    first = uses[0]
    said = [_said(use) for use in uses]
    more = f" (and {len(said) - SHOWN_USES} more)" if len(said) > SHOWN_USES else ""
    message = f"{seen.called}, and fails from the cutover on: it {'; '.join(said[:SHOWN_USES])}{more}: {shown}"
    details = {
        "calls": seen.calls,
        "calls_per_day": seen.calls_per_day,
        "counted_s": round(seen.seconds),
        "uses": [{"table": use.table, "column": use.column, "use": use.how} for use in uses],
        "query": shown,
    }
    if first.what == "text_operator":
        hint = f"Cast it ({first.column}::text) or compare whole values before the cutover."
        return warning("query_will_break", message, hint=hint, table=first.table, column=first.column, **details)
    if first.what == "text_value":
        hint = (
            f"Let the client send {first.column} without a type, or cast both sides: docs/clients.md says what to set "
            "for each driver."
        )
        return warning("query_sends_text", message, hint=hint, table=first.table, column=first.column, **details)
    hint = (
        f"Add {first.column} to the target at the cutover, or insert only what is not there (INSERT … SELECT … WHERE "
        "NOT EXISTS)."
    )
    return warning("query_conflict_target", message, hint=hint, table=first.table, column=first.column, **details)


def _said(use: Used) -> str:
    if use.what == "conflict_target":
        return (
            f"says {use.how}, and no unique index of the partitioned table can have these columns without {use.column}"
        )
    return f"takes {use.column}, which becomes {use.becomes}, and {use.how}"
