"""Rows of a quarantine on their way back: corrected in the live table, or looked at again by the next drain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from psycopg import sql
from psycopg.types.json import Jsonb

from replank.table_spec import TableSpec
from sql.change_log import log_keys, log_table
from sql.connection import Connection, run
from sql.conversion import own_texts_valid, type_name
from sql.next_table import live_table
from sql.quarantine import quarantine_table


class Corrected(StrEnum):
    """What became of one correction."""

    DONE = "done"
    NOT_THERE = "not there"
    """The row is gone, or its value is another one by now."""
    STILL_INVALID = "still invalid"


@dataclass(frozen=True, kw_only=True)
class Correction:
    """New texts for some columns of one live row. `before` is what these had when the row was kept aside."""

    key: tuple[str, ...]
    before: Mapping[str, str | None]
    values: Mapping[str, str]


def correct(connection: Connection, given: Mapping[TableSpec, Sequence[Correction]]) -> list[list[Corrected]]:
    """Put the values into the live rows, in the caller's transaction: captured, as any write of the application's.

    All in one statement, because foreign keys are looked at when a statement ends: a key and all that refers to it are
    changed together, whatever the constraint says of updates. What became of each, table by table as given.
    """
    numbered = [
        (spec, columns, group)
        for spec, corrections in given.items()
        for columns, group in _by_columns(corrections).items()
    ]
    updates = [_update(connection, *one) for one in numbered]
    names = [sql.Identifier(f"changed_{number}") for number in range(len(updates))]
    statement = sql.SQL("WITH {} {}").format(
        sql.SQL(", ").join(sql.SQL("{} AS ({})").format(n, u) for n, u in zip(names, updates, strict=True)),
        sql.SQL(" UNION ALL ").join(
            sql.SQL("SELECT {} AS part, * FROM {}").format(sql.Literal(part), name) for part, name in enumerate(names)
        ),
    )
    found = {(part, place): valid for part, place, valid in run(connection, statement).fetchall()}
    became = {
        (spec, id(one)): Corrected.NOT_THERE
        if (part, place) not in found
        else (Corrected.DONE if found[part, place] else Corrected.STILL_INVALID)
        for part, (spec, _, group) in enumerate(numbered)
        for place, one in enumerate(group)
    }
    return [[became[spec, id(one)] for one in corrections] for spec, corrections in given.items()]


def _by_columns(corrections: Sequence[Correction]) -> dict[tuple[str, ...], list[Correction]]:
    """No row may be in two updates of one statement, so those that change the same columns go together."""
    found: dict[tuple[str, ...], list[Correction]] = {}
    for one in corrections:
        found.setdefault(tuple(sorted(one.values)), []).append(one)
    return found


def _update(
    connection: Connection, spec: TableSpec, columns: Sequence[str], group: Sequence[Correction]
) -> sql.Composable:
    """Returns `place` in the group, and whether the row's own texts convert now."""
    documents = [{"key": one.key, "before": one.before, "value": one.values} for one in group]
    types = {c.name: type_name(c.live_type) for c in spec.columns}
    same = [
        sql.SQL("live.{} = (given.one -> 'key' ->> {})::{}").format(
            sql.Identifier(c.name), sql.Literal(place), type_name(c.live_type)
        )
        for place, c in enumerate(spec.key_columns)
    ]
    same += [
        sql.SQL(
            "(live.{column}::pg_catalog.text IS NOT DISTINCT FROM given.one -> 'before' ->> {name}"
            " OR live.{column}::pg_catalog.text = given.one -> 'value' ->> {name})"
        ).format(column=sql.Identifier(name), name=sql.Literal(name))
        for name in columns
    ]
    return sql.SQL(
        "UPDATE {only}{table} AS live SET {assigned} FROM pg_catalog.jsonb_array_elements({documents})"
        " WITH ORDINALITY AS given (one, place) WHERE {same} RETURNING given.place - 1 AS place, {valid} AS valid"
    ).format(
        only=sql.SQL("" if spec.partitioned else "ONLY "),
        table=live_table(spec),
        assigned=sql.SQL(", ").join(
            sql.SQL("{} = (given.one -> 'value' ->> {})::{}").format(
                sql.Identifier(name), sql.Literal(name), types[name]
            )
            for name in columns
        ),
        documents=sql.Literal(Jsonb(documents)),
        same=sql.SQL(" AND ").join(same),
        valid=own_texts_valid(spec, "live", connection.info.server_version),
    )


def kept_value(connection: Connection, spec: TableSpec, key: Sequence[str], column: str) -> tuple[bool, str | None]:
    """Whether such a row is kept aside, and the text of one of its columns as it was kept."""
    found = run(
        connection,
        sql.SQL('SELECT aside."row" ->> {} FROM {} AS aside WHERE aside.key = {}::pg_catalog.jsonb').format(
            column, quarantine_table(spec), sql.Literal(_json(key))
        ),
    ).fetchone()
    return (False, None) if found is None else (True, found[0])


def _json(key: Sequence[str]) -> str:
    return json.dumps(list(key), ensure_ascii=False)


def look_again(connection: Connection, spec: TableSpec) -> int:
    """Log the keys of all that is kept aside of a table: the next drain decides anew. Returns how many rows."""
    keys = sql.SQL(", ").join(log_keys(spec))
    return run(
        connection,
        sql.SQL("INSERT INTO {} ({keys}) SELECT {keys} FROM {}").format(
            log_table(spec), quarantine_table(spec), keys=keys
        ),
    ).rowcount
