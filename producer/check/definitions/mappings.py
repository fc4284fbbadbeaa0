"""Step 07, looked at before it runs: what stands in its way, and who will notice the new names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from producer.check.findings import Finding, blocker, warning
from producer.planning.pending_names import Waiting
from producer.steps.mapped_names import mentions
from producer.steps.mappings import Renamed, mistakes_of, renamed_tables
from replank.plan.plan import Plan
from sql.catalogue.relations import read_relations
from sql.catalogue.renaming import WrittenFunction, reserved_words, users_of_row_type, written_functions
from sql.session.connection import Connection

_NOT_THROUGH_VIEWS = re.compile(
    r"\b(TRUNCATE|COPY|ON\s+CONSTRAINT|MERGE|ALTER\s+TABLE|REINDEX|CLUSTER)\b", re.IGNORECASE
)


def audit_mappings(connection: Connection, plan: Plan, waiting: Sequence[Waiting]) -> list[Finding]:
    """What the operator should know; nothing where no name changes any more."""
    asked = plan.steps.mappings
    renamed = renamed_tables(connection, plan.steps)
    if asked is None or not renamed:
        return []
    found = [
        blocker("mapping_refused", words, hint="Correct [steps.mappings] of the plan.")
        for words in mistakes_of(connection, asked, renamed)
    ]
    functions, words = written_functions(connection), reserved_words(connection)
    for one in renamed:
        found += _who_notices(connection, one)
        found += _not_through_view(one, functions)
        found += _reserved(one, words)
    found += _left(connection, plan)
    return found + [_waits(each) for each in waiting]


def _who_notices(connection: Connection, one: Renamed) -> Iterator[Finding]:
    if one.table.published:
        yield warning(
            "mapping_published",
            f"is published: from then on subscribers need a table {one.table.schema}.{one.to}",
            hint="Rename the subscriber's table at the same time, or create a table with the new name there.",
            table=one.said,
        )
    for user in users_of_row_type(connection, one.table.oid):
        yield warning(
            "mapping_row_type",
            f"{user} uses the table's row type, whose columns get the new names; rows of the view have another type",
            hint="Check whether clients pass rows to it, or read columns of its result.",
            table=one.said,
            object=user,
        )


def _not_through_view(one: Renamed, functions: Sequence[WrittenFunction]) -> Iterator[Finding]:
    for function in functions if one.to != one.table.name else ():
        found = _NOT_THROUGH_VIEWS.search(function.text)
        if found is not None and mentions(function.text, [one.table.name]):
            yield warning(
                "mapping_function",
                f"function {function.full_name} names it and says {found.group(0).upper()}, which is impossible on a "
                "view",
                hint="If it means this table, let it use the new name from step 07 on.",
                table=one.said,
                object=function.full_name,
            )


def _reserved(one: Renamed, words: set[str]) -> Iterator[Finding]:
    names = [new for old, new in (*one.columns, (one.table.name, one.to)) if new in words and new != old]
    if names:
        yield warning(
            "mapping_reserved_word",
            f"{', '.join(names)} is a reserved word and has to be quoted in SQL",
            hint="Prisma quotes every name. For SQL written by hand, choose another name in [[steps.mappings.rename]].",
            table=one.said,
        )


def _left(connection: Connection, plan: Plan) -> Iterator[Finding]:
    """Tables whose name is as it shall be, with columns that are not."""
    asked = plan.steps.mappings
    for table in read_relations(connection).values() if asked is not None and asked.snake_case else ():
        chosen = asked is not None and (asked.tables is None or table.full_name in _full(asked.tables))
        mixed = [column for column in table.columns if column != column.lower()]
        if asked is None or not chosen or not mixed or table.name.startswith("_"):
            continue
        if asked.table_to(table.schema, table.name) == table.name and asked.wants_view(table.schema, table.name):
            yield warning(
                "mapping_left",
                f"columns {', '.join(mixed)} keep their names: the table keeps its name, so no view can have it",
                hint="Give the table another name in [[steps.mappings.rename]], or set view = false there.",
                table=table.full_name,
            )


def _full(names: Sequence[str]) -> set[str]:
    return {name if "." in name else f"public.{name}" for name in names}


def _waits(each: Waiting) -> Finding:
    return warning(
        "looked_at_later",
        f"{each.what} names {', '.join(each.names)}, which step 07 renames: it cannot be tested before",
        hint="Use the new names in it. `replank run` tests it after the scripts, before it changes any row.",
        table=each.table,
    )
