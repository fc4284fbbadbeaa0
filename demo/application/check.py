"""Compares the journal with the database, set-based: no acknowledged write may be missing."""

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from demo.application.journal import Journal
from demo.clients.names import Names
from demo.clients.tables import Key, Row, Table, Tables, canonical_text
from demo.datasets import find_workload

_PRESENT = Identifier("must be present")


@dataclass(frozen=True, kw_only=True)
class JournalCheck:
    """found_again: facts of the journal that hold; lost: one sentence for each that does not."""

    found_again: int
    lost: list[str]


def check_journal(url: str, journal: Journal) -> JournalCheck:
    """Look for every row, absence, counter and total of the journal, at one snapshot, by the names that hold now.

    Ids are compared as texts in one spelling: a uuid column prints what a text column was given.
    """
    workload = find_workload(journal.data_set)
    wrong: list[str] = []
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        names = workload.names_now(connection)
        for name, table in workload.tables.by_name.items():
            wrong += _check_rows(connection, table, names, journal.rows[name], journal.gone[name])
        wrong += _check_counters(connection, workload.tables, names, journal)
        totals = _check_totals(connection, workload.tables, names, journal)
        connection.rollback()
    return JournalCheck(found_again=journal.entries() - len(wrong), lost=wrong + totals)


def _check_rows(
    connection: psycopg.Connection, table: Table, names: Names, rows: Iterable[Row], gone: Iterable[Key]
) -> list[str]:
    """One sentence for each row of the table that is lost, altered or back from the dead."""
    expected = Identifier("pg_temp", f"expected {table.name}")
    columns = SQL(", ").join(SQL("{} text").format(Identifier(name)) for name in table.columns)
    connection.execute(SQL("CREATE TEMP TABLE {} ({} boolean, {})").format(expected, _PRESENT, columns))
    missing = (None,) * (len(table.columns) - len(table.key))
    with (
        connection.cursor() as cursor,
        cursor.copy(SQL("COPY {} FROM STDIN").format(expected)) as copy,
    ):
        for row in rows:
            copy.write_row((True, *(row[column] for column in table.columns)))
        for key in gone:
            copy.write_row((False, *key, *missing))
    found = connection.execute(_comparison(table, names, expected)).fetchall()
    return [
        f"{table.schema}.{table.name} {', '.join(key)}: {_verdict(present, there, altered)}"
        for key, present, there, altered in found
    ]


def _comparison(table: Table, names: Names, expected: Identifier) -> Composed:
    """Rows that are not as expected: (key, must be present, is there, altered columns)."""
    altered = SQL(", ").join(
        SQL("CASE WHEN {} IS DISTINCT FROM {} THEN {} END").format(*_both(table, names, name), Literal(name))
        for name in table.columns
    )
    same_key = SQL(" AND ").join(SQL("{} = {}").format(*_both(table, names, name)) for name in table.key)
    return SQL(
        "SELECT found.key, found.present, found.there, found.altered FROM ("
        "SELECT ARRAY[{key}] AS key, e.{present} AS present, t.{first} IS NOT NULL AS there,"
        " array_remove(ARRAY[{altered}], NULL) AS altered"
        " FROM {expected} AS e LEFT JOIN {live} AS t ON {same_key}"
        ") AS found WHERE found.present <> found.there OR (found.present AND found.altered <> '{{}}')"
        " ORDER BY 1"
    ).format(
        key=SQL(", ").join(SQL("e.{}").format(Identifier(name)) for name in table.key),
        present=_PRESENT,
        first=names.column(table, table.key[0]),
        altered=altered,
        expected=expected,
        live=names.relation(table),
        same_key=same_key,
    )


def _both(table: Table, names: Names, column: str) -> tuple[Composed, Composed]:
    """A column's value in the table and in the journal, as texts that can be compared."""
    form = SQL("lower(replace({}::text, '-', ''))" if column in table.ids | table.id_lists else "{}::text")
    live = SQL("t.{}").format(names.column(table, column))
    return form.format(live), form.format(SQL("e.{}").format(Identifier(column)))


def _verdict(present: bool, there: bool, altered: list[str]) -> str:
    if present and not there:
        return "lost"
    if there and not present:
        return "resurrected, or never committed"
    return f"altered: {', '.join(altered)}"


def _check_counters(connection: psycopg.Connection, tables: Tables, names: Names, journal: Journal) -> list[str]:
    """One sentence for each shared counter that differs from the acknowledged increments."""
    wrong: list[str] = []
    for name, column in sorted({(name, column) for name, column, _, _ in journal.counters}):
        table = tables[name]
        wanted = {canonical_text(i): value for t, c, i, value in journal.counters if (t, c) == (name, column)}
        key = SQL("lower(replace({}::text, '-', ''))").format(names.column(table, table.key[0]))
        query = SQL("SELECT {0}, {1} FROM {2} WHERE {0} = ANY(%s)").format(
            key, names.column(table, column), names.relation(table)
        )
        found: dict[str, int] = dict(connection.execute(query, [list(wanted)]).fetchall())
        wrong += [
            f"{table.schema}.{name} {row_id}: {column} is {found.get(row_id)}, not {value}"
            for row_id, value in wanted.items()
            if found.get(row_id) != value
        ]
    return wrong


def _check_totals(connection: psycopg.Connection, tables: Tables, names: Names, journal: Journal) -> list[str]:
    """One sentence for each table with more or fewer rows than the journal accounts for."""
    wrong: list[str] = []
    for name, expected in journal.totals.items():
        table = tables[name]
        query = SQL("SELECT count(*) FROM {}").format(names.relation(table))
        (number,) = connection.execute(query).fetchone() or (0,)
        if number != expected:
            wrong.append(f"{table.schema}.{name}: {number} rows in all, not {expected}")
    return wrong
