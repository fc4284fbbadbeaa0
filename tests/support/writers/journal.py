"""What the clients did, and whether the database still says so."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from support.writers.session import SESSION_OPTIONS, UUID_TEXT
from support.writers.targets import Target


@dataclass(frozen=True, kw_only=True)
class WriteError:
    """A write that failed, or (``sqlstate`` None) that met fewer of its own rows than it should have."""

    sqlstate: str | None
    message: str
    kind: str
    table: str
    at_s: float  # since the clients started


@dataclass(frozen=True, kw_only=True)
class JournaledRow:
    """What a row must be. ``states``: each is None (absent) or [number of the template, other values];
    more than one where the outcome of a commit is unknown."""

    target: int
    key: list[str]
    states: list[Any]


@dataclass(frozen=True, kw_only=True)
class Journal:
    """What the clients did. ``acknowledged``: statements whose commit returned; ``unknown``: those whose
    commit got no reply; ``conflicts``: SQLSTATE -> how often a transaction must be tried again; ``errors``:
    everything else that failed; ``rate``: acknowledged writes per second."""

    acknowledged: int
    unknown: int
    rolled_back: int
    reconnects: int
    kinds: Mapping[str, int]
    conflicts: Mapping[str, int]
    errors: list[WriteError]
    connection_losses: list[str]
    max_latency_ms: float
    p99_latency_ms: float
    rate: float
    duration_s: float
    targets: list[Target] = field(repr=False)
    rows: list[JournaledRow] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["errors"] = [WriteError(**error) for error in content["errors"]]
        content["targets"] = [Target(**target) for target in content["targets"]]
        content["rows"] = [JournaledRow(target=t, key=k, states=s) for t, k, s in content["rows"]]
        return cls(**content)

    def find_lost(self, url: str) -> list[str]:
        """Compare every journaled row with the database, at one snapshot: a sentence for each that is
        missing, changed, or back although it was deleted. Of a row with an unknown outcome either state
        is right. A column may have become a uuid meanwhile: both sides are cast to its present type."""
        lost: list[str] = []
        with psycopg.connect(url, options=SESSION_OPTIONS) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SET LOCAL work_mem = '64MB'")
            for number, target in enumerate(self.targets):
                rows = [row for row in self.rows if row.target == number]
                if rows:
                    lost += _find_lost(connection, target, rows)
        return lost


_PRESENT_TYPES = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relname = %s AND c.relnamespace = to_regnamespace(quote_ident(%s))
   AND a.attnum > 0 AND NOT a.attisdropped
"""


def _find_lost(connection: psycopg.Connection, target: Target, rows: Sequence[JournaledRow]) -> list[str]:
    label = f"{target.schema}.{target.name}"
    types: dict[str, str] = dict(connection.execute(_PRESENT_TYPES, [target.name, target.schema]).fetchall())
    columns = list(dict.fromkeys([*target.key, *target.templates[0]]))
    gone = [name for name in columns if name not in types]
    if gone:
        return [f"{label}: the columns {gone} are gone" if types else f"{label}: the table is gone"]
    _load_expected(connection, target, columns, rows)
    present = SQL("t.{} IS NOT NULL").format(Identifier(target.key[0]))
    expected = {name: _expected(f"c{place}", types[name]) for place, name in enumerate(columns)}
    joined = SQL(" AND ").join(SQL("t.{} = {}").format(Identifier(name), expected[name]) for name in target.key)
    wrong = SQL(", ").join(
        SQL("CASE WHEN t.{}::text IS DISTINCT FROM ({})::text THEN {} END").format(
            Identifier(name), expected[name], Literal(name)
        )
        for name in columns
    )
    query = SQL(
        "WITH found AS (SELECT e.row_no, e.is_absent, {present} AS is_present,"
        " CASE WHEN {present} AND NOT e.is_absent THEN array_remove(ARRAY[{wrong}]::text[], NULL)"
        " ELSE '{{}}' END AS wrong"
        " FROM expected e LEFT JOIN {table} t ON {joined})"
        " SELECT row_no, bool_or(is_present), bool_or(NOT is_absent), max(wrong) FROM found GROUP BY row_no"
        " HAVING NOT bool_or(is_absent <> is_present AND wrong = '{{}}')"
        " OR count(*) FILTER (WHERE is_present) > {variants}"
        " ORDER BY row_no"
    ).format(
        present=present,
        wrong=wrong,
        table=target.identifier,
        joined=joined,
        variants=max(len(row.states) for row in rows),
    )
    found = connection.execute(query).fetchall()
    return [f"{label} {rows[number].key}: {_verdict(there, due, bad)}" for number, there, due, bad in found]


def _verdict(is_present: bool, was_due: bool, wrong: Sequence[str]) -> str:
    if not is_present:
        return "lost, the row is missing"
    if not was_due:
        return "resurrected, it was deleted"
    return f"wrong content in {list(wrong)}" if wrong else "there more than once"


def _expected(column: str, present_type: str) -> Composable:
    """The journaled text as a value of the column's present type; text that is no uuid matches nothing."""
    text = Identifier("e", column)
    cast = SQL("{}::{}").format(text, SQL(present_type))
    if present_type != "uuid":
        return cast
    return SQL("CASE WHEN {} ~* {} THEN {} END").format(text, Literal(f"^{UUID_TEXT.pattern}$"), cast)


def _load_expected(
    connection: psycopg.Connection, target: Target, columns: Sequence[str], rows: Sequence[JournaledRow]
) -> None:
    """Fill the temporary table ``expected``: one line for each acceptable state of each row."""
    names = SQL(", ").join(Identifier(f"c{place}") for place in range(len(columns)))
    typed = SQL(", ").join(SQL("{} text").format(Identifier(f"c{place}")) for place in range(len(columns)))
    connection.execute("DROP TABLE IF EXISTS pg_temp.expected")
    connection.execute(SQL("CREATE TEMP TABLE expected (row_no int, is_absent bool, {})").format(typed))
    copy = SQL("COPY expected (row_no, is_absent, {}) FROM STDIN").format(names)
    with connection.cursor() as cursor, cursor.copy(copy) as stream:
        for number, row in enumerate(rows):
            for state in row.states:
                values = dict(zip(target.key, row.key, strict=True))
                if state is not None:
                    values = target.templates[state[0]] | state[1] | values
                stream.write_row([number, state is None, *(values.get(name) for name in columns)])
    connection.execute("ANALYZE expected")
