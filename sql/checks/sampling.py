"""Bounded samples of live values: what a sample says about a column, without reading the table."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg import errors
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Composable, Composed, Identifier

from sql.catalogue.catalogue import LiveTable
from sql.catalogue.foreign_code import foreign_functions
from sql.session.connection import Connection, apply_settings, rows, run
from sql.session.named_queries import query
from sql.session.table_names import server_text
from sql.values.conversion import type_name
from sql.values.uuid_texts import is_valid

OWN_STATEMENT = "/* replank */"
"""How each statement about live values ends: `pg_stat_statements` keeps it, and `check` passes it over."""

READ_WHOLE_BLOCKS = 64
"""Tables up to this many blocks are sampled from their first row on; larger ones by random blocks."""

SPARSE_TIMEOUT_MS = 1_000
"""How long to look for values in a column whose sample was all NULL."""

SPARSE_ROWS = 100

LONGEST_ID_BYTES = 1_000
"""Longer values are no ids (char(n) counts its padding); they are not even read from TOAST."""

EVIDENT = r"-|^[{]?[0-9A-Fa-f]{12}[1-8][0-9A-Fa-f]{3}[89ABab][0-9A-Fa-f]{15}[}]?$"
"""What no hash looks like: hyphens, or the digits of a version and a variant."""

Default = Literal["none", "uuid", "other", "unknown"]
"""What a default gives: nothing, a uuid, something else, or unknown because it was not evaluated."""

# Only these are evaluated: generators of uuids and plain literals have no side effects.
_GENERATOR = re.compile(r"(?<!\w)(gen_random_uuid|uuid_generate_v\w+|uuidv[47])\(")
_LITERAL = re.compile(r"^'(?:[^']|'')*'::[\w \"().,]+$")
_SEQUENCE = re.compile(r"(?<!\w)(nextval|currval|setval|lastval)\(")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """How many values (not NULL) were sampled, how many of them are uuids, how many of those have a spelling that
    uuid → text does not give back, and how many are uuids beyond doubt: by their hyphens, or by version and variant."""

    values: int = 0
    uuids: int = 0
    odd: int = 0
    evident: int = 0


def readable_tables(connection: Connection, *, trusting: bool = False) -> set[int]:
    """Oids of the tables whose rows this role may read.

    Without `trusting`, those are left out that would run functions of other roles with this role's rights.
    """
    found = {each["oid"] for each in rows(connection, query("inspection.readable_tables"))}
    return found if trusting else found - {each.oid for each in foreign_functions(connection, read=found)}


def _ask(connection: Connection, statement: Composable) -> psycopg.Cursor[TupleRow]:
    return run(connection, SQL("{} {}").format(statement, SQL(OWN_STATEMENT)))


def sample_columns(
    connection: Connection, table: LiveTable, columns: Sequence[str], *, wanted: int, version: int
) -> dict[str, Sample]:
    """Sample about `wanted` rows of a table. A column that was all NULL there is sampled once more."""
    if not columns:
        return {}
    found = _read_sample(connection, _sampled_rows(table, columns, wanted), columns, version)
    for name in columns:
        if found[name].values == 0 and table.heap_blocks > READ_WHOLE_BLOCKS:
            found |= _search_values(connection, table, name, version)
    return found


def sample_array(connection: Connection, table: LiveTable, column: str, *, wanted: int, version: int) -> Sample:
    """Look at the elements of an array column in about `wanted` rows."""
    source = SQL(
        "SELECT CASE WHEN pg_catalog.octet_length(word) > {} THEN '' ELSE word END AS t0 FROM"
        " (SELECT {} AS cell FROM {} TABLESAMPLE SYSTEM ({}) LIMIT {}) AS live"
        " CROSS JOIN LATERAL pg_catalog.unnest((live.cell::text[])[1:20]) AS word"
    ).format(LONGEST_ID_BYTES, Identifier(column), named_table(table), sample_percent(table, wanted), wanted)
    return _read_sample(connection, source, [column], version)[column]


def _sampled_rows(table: LiveTable, columns: Sequence[str], wanted: int) -> Composed:
    return SQL("SELECT {} FROM {} AS live TABLESAMPLE SYSTEM ({}) LIMIT {}").format(
        SQL(", ").join(_short_text(name, number) for number, name in enumerate(columns)),
        named_table(table),
        sample_percent(table, wanted),
        wanted,
    )


def _short_text(name: str, number: int) -> Composed:
    return SQL(
        "CASE WHEN {0} IS NULL THEN NULL WHEN pg_catalog.octet_length({0}) > {1} THEN ''"
        " ELSE {0}::pg_catalog.text END AS {2}"
    ).format(Identifier("live", name), LONGEST_ID_BYTES, Identifier(f"t{number}"))


def sample_percent(table: LiveTable, wanted: int) -> float:
    """Which share of the blocks holds `wanted` rows, with a margin. reltuples may be -1: then one a block."""
    if table.heap_blocks <= READ_WHOLE_BLOCKS:
        return 100.0
    rows_per_block = max(table.rows_estimate / table.heap_blocks, 1.0) if table.rows_estimate > 0 else 1.0
    blocks = max(math.ceil(wanted / rows_per_block * 1.5), READ_WHOLE_BLOCKS)
    return min(100.0, 100.0 * blocks / table.heap_blocks)


def named_table(table: LiveTable) -> Composable:
    """The table in a FROM clause; rows of inheritance children are not its own."""
    only = SQL("") if table.partitioned else SQL("ONLY ")
    return only + Identifier(table.schema, table.name)


def _read_sample(connection: Connection, source: Composable, columns: Sequence[str], version: int) -> dict[str, Sample]:
    numbers = range(len(columns))
    judged = SQL(", ").join(
        SQL("{0}, {1} AS {2}").format(Identifier(f"t{n}"), is_valid(Identifier(f"t{n}"), version), Identifier(f"v{n}"))
        for n in numbers
    )
    counted = SQL(", ").join(
        SQL(
            "count({text}), count(*) FILTER (WHERE {valid}),"
            ' count(*) FILTER (WHERE CASE WHEN {valid} THEN {text} COLLATE "C" <> {text}::uuid::text END),'
            " count(*) FILTER (WHERE {valid} AND {text} ~ {evident})"
        ).format(evident=EVIDENT, text=Identifier(f"t{n}"), valid=Identifier(f"v{n}"))
        for n in numbers
    )
    # OFFSET 0 keeps the planner from parsing each value once for every use.
    answer = _ask(
        connection,
        SQL("SELECT {} FROM (SELECT {} FROM ({}) AS sampled OFFSET 0) AS judged").format(counted, judged, source),
    ).fetchone()
    assert answer is not None
    return {
        name: Sample(values=answer[4 * n], uuids=answer[4 * n + 1], odd=answer[4 * n + 2], evident=answer[4 * n + 3])
        for n, name in enumerate(columns)
    }


def _search_values(connection: Connection, table: LiveTable, name: str, version: int) -> dict[str, Sample]:
    """The first few values of a column that is mostly NULL, if they are found in time."""
    source = SQL("SELECT {} FROM {} AS live WHERE {} IS NOT NULL LIMIT {}").format(
        _short_text(name, 0), named_table(table), Identifier("live", name), SPARSE_ROWS
    )
    try:
        with connection.transaction():
            apply_settings(connection, {"statement_timeout": f"{SPARSE_TIMEOUT_MS}ms"}, local=True)
            return _read_sample(connection, source, [name], version)
    except errors.QueryCanceled:
        return {name: Sample()}


def default_gives(connection: Connection, expression: str | None, version: int) -> Default:
    """What a default expression gives, by evaluating it where that is harmless. Call it in a read-only session."""
    if expression is None:
        return "none"
    if not (_GENERATOR.search(expression) or _LITERAL.match(expression)) or draws_from_sequence(expression):
        return "unknown"
    statement = SQL("SELECT given, {} FROM (SELECT ({})::pg_catalog.text AS given OFFSET 0) AS evaluated").format(
        is_valid(SQL("given"), version), server_text(expression)
    )
    try:
        with connection.transaction():
            found = _ask(connection, statement).fetchone()
    except errors.DatabaseError:
        return "unknown"
    if found is None or found[0] is None:
        return "none"
    return "uuid" if found[1] else "other"


def draws_from_sequence(expression: str) -> bool:
    """Whether evaluating a default would use up a number of a sequence."""
    return _SEQUENCE.search(expression) is not None


def uuid_texts(
    connection: Connection, table: LiveTable, column: str, *, form: Literal["text", "array", "json"], wanted: int
) -> list[str]:
    """Up to `wanted` different texts that look like uuids in a sample of a column of any of these forms."""
    cell: Mapping[str, SQL] = {
        "text": SQL("SELECT pg_catalog.left(live.cell::text, 100) AS word"),
        "array": SQL("SELECT pg_catalog.left(word, 100) AS word FROM unnest((live.cell::text[])[1:20]) AS word"),
        "json": SQL(
            "SELECT found[1] AS word FROM pg_catalog.regexp_matches(pg_catalog.left(live.cell::text, 4000),"
            " '[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}', 'gi') AS found"
        ),
    }
    statement = SQL(
        "SELECT DISTINCT word FROM (SELECT words.word FROM (SELECT {column} AS cell FROM {table}"
        " TABLESAMPLE SYSTEM ({percent}) WHERE {column} IS NOT NULL LIMIT {rows}) AS live"
        " CROSS JOIN LATERAL ({words}) AS words"
        ' WHERE words.word COLLATE pg_catalog."C" ~*'
        " '^[{{]?[0-9a-f]{{4}}(-?[0-9a-f]{{4}}){{7}}[}}]?$' LIMIT {wanted}) AS found"
    ).format(
        column=Identifier(column),
        table=named_table(table),
        percent=sample_percent(table, wanted),
        rows=wanted * 4,
        words=cell[form].format(),
        wanted=wanted,
    )
    return [word for (word,) in _ask(connection, statement).fetchall()]


def matching(
    connection: Connection, table: LiveTable, column: str, words: Sequence[str], sources: Sequence[int]
) -> dict[int, int]:
    """source number → how many of its words are values of an indexed column. `words` and `sources` go in pairs."""
    found = table.column(column)
    assert found is not None
    # Literals, not parameters: a name that holds a percent sign would be read as a placeholder.
    statement = SQL(
        "SELECT source, count(*) FROM unnest({}::text[], {}::int[]) AS asked (word, source)"
        " WHERE EXISTS (SELECT FROM {} AS target WHERE {} = asked.word::{}) GROUP BY source"
    ).format(list(words), list(sources), named_table(table), Identifier("target", column), type_name(found.type))
    return dict(_ask(connection, statement).fetchall())
