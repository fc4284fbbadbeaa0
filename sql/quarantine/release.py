"""Rows that leave quarantine: corrected in the live table, or checked again by the next drain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from psycopg.sql import SQL, Composable, Identifier, Literal
from psycopg.types.json import Jsonb

from replank.values.table_spec import TableSpec
from sql.quarantine.quarantined_rows import quarantine_table
from sql.rows.change_log import log_keys, log_table
from sql.session.connection import Connection, run
from sql.session.table_names import live_table
from sql.values.conversion import own_texts_valid, type_name
from sql.values.equality_operators import equal


class Corrected(StrEnum):
    """What became of one correction."""

    DONE = "done"
    NOT_THERE = "not there"
    """The row is gone, or its value is another one by now."""
    STILL_INVALID = "still invalid"


@dataclass(frozen=True, kw_only=True)
class Correction:
    """New texts for some columns of one live row. `before` is what these had when the row was quarantined."""

    spec: TableSpec
    key: tuple[str, ...]
    before: Mapping[str, str | None]
    values: Mapping[str, str]


def correct(connection: Connection, corrections: Sequence[Correction]) -> list[Corrected]:
    """Put the values into the live rows, in the caller's transaction: captured, as any write of the application's.

    All in one statement, because foreign keys are checked when a statement ends: a key and all that refers to it are
    changed together, whatever the constraint says of updates. What became of each, in their order. One at least.
    """
    # No row may be in two updates of one statement, so those that change the same columns go together.
    groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for number, one in enumerate(corrections):
        groups.setdefault((one.spec.table_no, tuple(sorted(one.values))), []).append(number)
    updates = [_update(connection, columns, corrections, numbers) for (_, columns), numbers in groups.items()]
    names = [Identifier(f"changed_{number}") for number in range(len(updates))]
    statement = SQL("WITH {} {}").format(
        SQL(", ").join(SQL("{} AS ({})").format(n, u) for n, u in zip(names, updates, strict=True)),
        SQL(" UNION ALL ").join(SQL("SELECT * FROM {}").format(name) for name in names),
    )
    valid: dict[int, bool] = dict(run(connection, statement).fetchall())
    return [
        Corrected.NOT_THERE if number not in valid else Corrected.DONE if valid[number] else Corrected.STILL_INVALID
        for number in range(len(corrections))
    ]


def _update(
    connection: Connection, columns: Sequence[str], corrections: Sequence[Correction], numbers: Sequence[int]
) -> Composable:
    """Of rows of one table. Returns each one's number, and whether the row's own texts convert now."""
    spec = corrections[numbers[0]].spec
    documents = [
        {"number": n, "key": corrections[n].key, "before": corrections[n].before, "value": corrections[n].values}
        for n in numbers
    ]
    types = {c.name: type_name(c.live_type) for c in spec.columns}
    same = [
        equal(
            c,
            Identifier("live", c.name),
            SQL("(given.document -> 'key' ->> {})::{}").format(Literal(place), type_name(c.live_type)),
        )
        for place, c in enumerate(spec.key_columns)
    ]
    same += [
        SQL(
            "(live.{column}::pg_catalog.text COLLATE \"C\" IS NOT DISTINCT FROM given.document -> 'before' ->> {name}"
            " OR live.{column}::pg_catalog.text COLLATE \"C\" = given.document -> 'value' ->> {name})"
        ).format(column=Identifier(name), name=Literal(name))
        for name in columns
    ]
    return SQL(
        "UPDATE {only}{table} AS live SET {assigned}"
        " FROM pg_catalog.jsonb_array_elements({documents}) AS given (document)"
        " WHERE {same} RETURNING (given.document ->> 'number')::int AS number, {valid} AS valid"
    ).format(
        only=SQL("" if spec.partitioned else "ONLY "),
        table=live_table(spec),
        assigned=SQL(", ").join(
            SQL("{} = (given.document -> 'value' ->> {})::{}").format(Identifier(name), Literal(name), types[name])
            for name in columns
        ),
        documents=Literal(Jsonb(documents)),
        same=SQL(" AND ").join(same),
        valid=own_texts_valid(spec, "live", connection.info.server_version),
    )


def kept_value(connection: Connection, spec: TableSpec, key: Sequence[str], column: str) -> tuple[bool, str | None]:
    """Whether such a row is quarantined, and the text of one of its columns as it was kept."""
    found = run(
        connection,
        SQL(
            'SELECT quarantined."row" ->> {} FROM {} AS quarantined WHERE quarantined.key = {}::pg_catalog.jsonb'
        ).format(column, quarantine_table(spec), Literal(_json(key))),
    ).fetchone()
    return (False, None) if found is None else (True, found[0])


def _json(key: Sequence[str]) -> str:
    return json.dumps(list(key), ensure_ascii=False)


def recheck(connection: Connection, spec: TableSpec) -> int:
    """Log the keys of all that is quarantined of a table: the next drain decides again. Returns how many rows."""
    keys = SQL(", ").join(log_keys(spec))
    return run(
        connection,
        SQL("INSERT INTO {} ({keys}) SELECT {keys} FROM {}").format(log_table(spec), quarantine_table(spec), keys=keys),
    ).rowcount
