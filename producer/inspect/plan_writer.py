"""A proposal as a commented plan in TOML, for the operator to review."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from producer.inspect.few_values import enum_lines
from producer.inspect.proposal import LeftAlone, PossibleColumn, Proposal, ProposedTable
from replank.plan.plan import OptionsPlan

OPTION_WORDS = {
    "lock_timeout_ms": "how long to wait for a lock before capture or cutover retries",
    "cutover_wait_ms": "the longest that a cutover may keep any other session waiting",
    "cutover_hold_budget_ms": "how long a cutover may hold its locks before it is rolled back and retried",
    "cutover_attempts": "attempts of a cutover before the run stops and waits for the operator",
    "old_snapshots": 'older snapshots, which would not see the newest rows: "wait" for them, or "ignore" them',
    "capture_attempts": "attempts to create the capture triggers before the run stops and waits for the operator",
    "max_jobs_in_flight": "jobs in flight, over all workers",
    "chunk_mb": "megabytes that a copy job reads; by default a sixteenth of the table, between 2 and 128",
    "index_memory_mb": "maintenance_work_mem of one index build",
    "cutover_log_rows": "changes that may be left to drain under the cutover's lock",
    "consent": '"pattern_indexes": indexes for LIKE on these columns (Django creates them) are dropped with the swap',
    "sets": '"apart": tables that no foreign key or view joins are swapped separately; queries that join them fail',
    "text_casts": "old clients send ids as typed text: an implicit cast in the whole database, needs a superuser",
}

UNSET_EXAMPLE = {"chunk_mb": "64  # an example, not the default"}


def write_plan(proposal: Proposal) -> str:
    """The plan's text. It loads as a plan if at least one table is proposed."""
    return "\n".join(_lines(proposal)) + "\n"


def toml_string(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's, but TOML forbids a bare DEL as well."""
    return _visible(json.dumps(text, ensure_ascii=False))


def comment(text: str) -> str:
    """A comment of exactly one line: what is not printable is written as an escape."""
    return "# " + _visible(text)


def _visible(text: str) -> str:
    return "".join(
        c if c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in text
    )


def sql_name(schema: str, table: str) -> str:
    """`schema.table` as a person would write it in SQL."""
    return ".".join(
        name if name.isidentifier() and name == name.lower() else '"' + name.replace('"', '""') + '"'
        for name in (schema, table)
    )


def _lines(proposal: Proposal) -> Iterator[str]:
    yield "# A plan proposed by `replank inspect`. Read it, change it, then run `replank check`: inspect read"
    yield "# a sample, check reads every value."
    yield "version = 1"
    yield f"name = {toml_string(proposal.database)}"
    yield ""
    yield "[database]"
    yield f"name = {toml_string(proposal.database)}"
    yield "# Remove this line to test the plan on a copy of the database elsewhere."
    yield f"system_identifier = {toml_string(proposal.system_identifier)}"
    yield ""
    yield from _options()
    yield from _sets(proposal)
    yield from _left_alone(proposal)
    possible = {
        (p.schema, p.table): [q for q in proposal.possible if (q.schema, q.table) == (p.schema, p.table)]
        for p in proposal.possible
    }
    for number, members in proposal.sets.items():
        yield ""
        yield f"# ---- conversion set {number} ----"
        for table in members:
            yield from _table(table)
            yield from _possible(possible.pop((table.schema, table.name), []))
    yield from _possible_tables(possible)
    yield from _enums(proposal)


def _possible(columns: Sequence[PossibleColumn]) -> Iterator[str]:
    """Ready to be uncommented."""
    for column in columns:
        yield ""
        yield comment(f"it could become {column.to}; {column.type}: {column.reason}")
        yield "# [[tables.columns]]"
        yield comment(f"name = {toml_string(column.column)}")
        yield comment(f"to = {toml_string(column.to)}")


def _possible_tables(possible: Mapping[tuple[str, str], Sequence[PossibleColumn]]) -> Iterator[str]:
    """Of tables in which nothing else changes."""
    if possible:
        yield ""
        yield "# Tables whose keys stay, with columns that hold only uuids:"
    for (schema, name), columns in possible.items():
        yield ""
        yield "# [[tables]]"
        yield comment(f"schema = {toml_string(schema)}")
        yield comment(f"name = {toml_string(name)}")
        yield from _possible(columns)


def _enums(proposal: Proposal) -> Iterator[str]:
    if proposal.enums:
        yield ""
        yield (
            "# Text columns with few values, according to the statistics; they could be enums if no other value is "
            "needed:"
        )
    for lines in enum_lines(proposal.enums):
        for line in lines:
            yield comment(line)


def _options() -> Iterator[str]:
    yield "[options]"
    for name, field in OptionsPlan.model_fields.items():
        words = OPTION_WORDS.get(name)
        if words:
            yield comment(words)
        default = UNSET_EXAMPLE.get(name, "…") if field.default is None else json.dumps(field.default)
        yield f"# {name} = {default}"


def _sets(proposal: Proposal) -> Iterator[str]:
    yield ""
    yield "# All tables whose types change are swapped together, in one transaction (sets above)."
    for number, members in proposal.sets.items():
        yield comment(f"conversion set {number}: " + ", ".join(sql_name(t.schema, t.name) for t in members))


def _left_alone(proposal: Proposal) -> Iterator[str]:
    if proposal.left_alone:
        yield ""
        yield "# Columns that keep their type, and why:"
    for column in proposal.left_alone:
        yield comment(f"not changed: {column_name(column)} ({column.type}): {column.reason}")
    if proposal.prose_columns:
        yield f"# and {proposal.prose_columns} other text columns that neither look like ids nor hold uuids"


def column_name(column: LeftAlone) -> str:
    """`schema.table.column` for people."""
    return f"{column.schema}.{column.table}.{column.column}"


def _table(table: ProposedTable) -> Iterator[str]:
    yield ""
    yield "[[tables]]"
    yield f"schema = {toml_string(table.schema)}"
    yield f"name = {toml_string(table.name)}"
    if not table.columns:
        yield "# none of its columns changes, but inheritance joins it to tables that are rebuilt"
        yield 'method = "rebuild"'
    for column in table.columns:
        yield ""
        yield comment(f"{column.type}: {column.reason}")
        yield "[[tables.columns]]"
        yield f"name = {toml_string(column.name)}"
        yield 'to = "uuid"'
