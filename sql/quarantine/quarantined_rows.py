"""The quarantine of a table: its rows that are not in the next one, by their live key, and why.

It is part of what a drain writes: `sql.quarantine.resolve` says which rows belong there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row
from psycopg.sql import SQL, Composable, Identifier

from replank.values.table_spec import TableSpec
from sql.rows.change_log import keys_of, log_keys, log_table, same_key
from sql.rows.copy import source
from sql.session.connection import Connection, run, value
from sql.values.equality_operators import all_equal

NO_UUID = "the text is no uuid"


def quarantine_table(spec: TableSpec) -> Identifier:
    return Identifier("replank", spec.quarantine_name)


def create_quarantine(connection: Connection, spec: TableSpec) -> None:
    """Empty. `k1` … is the live key as it is, `key` the same as an array of texts.

    `parent_no` and `parent_key` name the row that one is quarantined for. What is being resolved now is marked:
    `doubtful` rows may leave, `fresh` is the round in which one came, `entered` that it was not so before.
    """
    keys = SQL(", ").join(
        SQL("{} AS {}").format(Identifier("live", name), key)
        for name, key in zip(spec.key, log_keys(spec), strict=True)
    )
    table = quarantine_table(spec)
    connection.execute(SQL("CREATE TABLE {} AS SELECT {} FROM {} WITH NO DATA").format(table, keys, source(spec)))
    connection.execute(
        SQL(
            "ALTER TABLE {} ADD PRIMARY KEY ({}),"
            ' ADD COLUMN key jsonb NOT NULL, ADD COLUMN "row" jsonb NOT NULL, ADD COLUMN "column" text NOT NULL,'
            " ADD COLUMN value text, ADD COLUMN reason text NOT NULL,"
            " ADD COLUMN since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),"
            " ADD COLUMN parent_no integer, ADD COLUMN parent_key jsonb,"
            " ADD COLUMN doubtful boolean NOT NULL DEFAULT false, ADD COLUMN fresh integer NOT NULL DEFAULT 0,"
            " ADD COLUMN entered boolean NOT NULL DEFAULT true"
        ).format(table, SQL(", ").join(log_keys(spec)))
    )
    connection.execute(SQL("CREATE INDEX ON {} (parent_no, parent_key)").format(table))


def drop_quarantine(connection: Connection, spec: TableSpec) -> None:
    connection.execute(SQL("DROP TABLE IF EXISTS {}").format(quarantine_table(spec)))


def not_quarantined(spec: TableSpec, alias: str) -> Composable:
    """The condition that a live row is not in quarantine; true where no row of the table can be."""
    if not spec.quarantines:
        return SQL("true")
    return SQL("NOT EXISTS (SELECT FROM {} AS quarantined WHERE {})").format(
        quarantine_table(spec), same_key(spec, alias, "quarantined")
    )


def key_texts(spec: TableSpec, alias: str) -> Composable:
    """The live key as a JSON array of texts."""
    return SQL("pg_catalog.jsonb_build_array({})").format(
        SQL(", ").join(SQL("{}::pg_catalog.text").format(Identifier(alias, name)) for name in spec.key)
    )


def count_quarantined(connection: Connection, spec: TableSpec) -> int:
    found = run(connection, SQL("SELECT count(*) FROM {}").format(quarantine_table(spec)), prepare=True).fetchone()
    return int(found[0]) if found else 0


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Rows quarantined: how many, and the sum of the hashes of the rows as JSON."""

    rows: int
    total: int


def live_quarantined_rows(connection: Connection, spec: TableSpec, where: Composable) -> Kept:
    """The live rows that quarantine names, as they are in the live table now; those in the log are left out."""
    return _sum(
        connection,
        SQL("{} JOIN {} AS quarantined ON {}").format(
            source(spec), quarantine_table(spec), same_key(spec, "live", "quarantined")
        ),
        SQL("pg_catalog.to_jsonb(live.*)"),
        SQL("{} AND {}").format(where, _not_logged(spec)),
    )


def kept_rows(connection: Connection, spec: TableSpec) -> Kept:
    """All that quarantine holds, as it holds it; what is in the log is left out."""
    kept = SQL("{} AS quarantined").format(quarantine_table(spec))
    return _sum(connection, kept, SQL('quarantined."row"'), _not_logged(spec))


def _sum(connection: Connection, table: Composable, document: Composable, where: Composable) -> Kept:
    found = run(
        connection,
        SQL(
            "SELECT count(*), coalesce(sum(pg_catalog.hashtextextended({}::text, 0)), 0)::text FROM {} WHERE {}"
        ).format(document, table, where),
    ).fetchone()
    assert found is not None
    return Kept(rows=found[0], total=int(found[1]))


def _not_logged(spec: TableSpec) -> Composable:
    same = all_equal(spec.key_columns, keys_of(spec, "quarantined"), keys_of(spec, "log"))
    return SQL("NOT EXISTS (SELECT FROM {} AS log WHERE {})").format(log_table(spec), same)


def log_kept_differences(connection: Connection, spec: TableSpec) -> int:
    """Log what quarantine holds and the live table does not have, or has otherwise. Returns how many rows that is."""
    return run(
        connection,
        SQL("INSERT INTO {log} ({keys}) {differing}").format(
            log=log_table(spec), keys=SQL(", ").join(log_keys(spec)), differing=_kept_differences(spec)
        ),
    ).rowcount


def count_kept_differences(connection: Connection, spec: TableSpec) -> int:
    """How many `log_kept_differences` would log. Nothing is written."""
    asked = SQL("SELECT count(*) FROM ({}) AS differing").format(_kept_differences(spec))
    return int(value(connection, asked))


def _kept_differences(spec: TableSpec) -> Composable:
    return SQL(
        "SELECT {kept} FROM {table} AS quarantined LEFT JOIN {live} ON {same}"
        ' WHERE quarantined."row"::text IS DISTINCT FROM pg_catalog.to_jsonb(live.*)::text AND {not_logged}'
    ).format(
        kept=SQL(", ").join(SQL("quarantined.{}").format(key) for key in log_keys(spec)),
        table=quarantine_table(spec),
        live=source(spec),
        same=same_key(spec, "live", "quarantined"),
        not_logged=_not_logged(spec),
    )


def read_quarantined(connection: Connection, spec: TableSpec) -> Iterator[dict[str, Any]]:
    """What is quarantined of one table, oldest first: key, column, value, reason, since, row.

    It needs the caller's transaction. Rows come in portions, so that memory stays the same however many there are.
    """
    with connection.cursor("replank_quarantine", row_factory=dict_row) as cursor:
        yield from cursor.execute(
            SQL('SELECT key, "column", value, reason, since, "row" FROM {} ORDER BY since, key').format(
                quarantine_table(spec)
            )
        )
