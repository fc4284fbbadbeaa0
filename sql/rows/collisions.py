"""Collisions: texts that differ and become the same uuid, also when they come in during the run.

Unique indexes would not see them on the key itself: a drain deletes by the new key, so one row would
replace the other in silence.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Identifier

from replank.errors import NeedsOperator
from replank.values.table_spec import TableSpec
from sql.rows.change_log import keys_of, log_keys, log_table, logged, odd_table, same_key
from sql.rows.copy import source
from sql.session.connection import Connection, run
from sql.session.table_names import next_rows
from sql.values.conversion import canonical, column_list, converted_if_valid, is_odd, type_name
from sql.values.equality_operators import all_equal, equal


def remember_odd(connection: Connection, spec: TableSpec, live_rows: Composable, where: Composable) -> None:
    """Keep the keys of the given live rows that are spelled otherwise than PostgreSQL would.

    `live_rows` is a FROM clause in which the live table is called `live`.
    """
    run(connection, remembered_odd(spec, live_rows, where, connection.info.server_version), prepare=True)


def remembered_odd(spec: TableSpec, live_rows: Composable, where: Composable, version: int) -> Composable:
    """The statement of `remember_odd`."""
    return SQL("INSERT INTO {} SELECT {}, {} FROM {} WHERE {} AND {} ON CONFLICT DO NOTHING").format(
        odd_table(spec),
        column_list(spec.key_columns, "live"),
        _texts(spec, "live", version),
        live_rows,
        where,
        is_odd(spec.key_columns, "live", version),
    )


def _texts(spec: TableSpec, alias: str, version: int) -> Composable:
    """The converted key as text, one value per key column."""
    return SQL(", ").join(
        SQL("({})::pg_catalog.text").format(converted_if_valid(column, Identifier(alias, column.name), version))
        for column in spec.key_columns
    )


def log_texts(connection: Connection, spec: TableSpec) -> None:
    """Log every other spelling of a logged key too, canonical or known as odd.

    A drain deletes by uuid: without this a twin that came and went would take with it a row that stays. Spellings
    that no verification has seen yet may be missed; that verification finds the row missing.
    """
    run(connection, logged_texts(spec, connection.info.server_version), prepare=True)


def logged_texts(spec: TableSpec, version: int) -> Composable:
    """The statement of `log_texts`."""
    keys = [(column, SQL("log.{}").format(key)) for column, key in zip(spec.key_columns, log_keys(spec), strict=True)]
    nexts = [converted_if_valid(column, key, version) for column, key in keys]
    others = [canonical(column, value, version) for (column, _), value in zip(keys, nexts, strict=True)]
    comma = SQL(", ")
    return SQL(
        "INSERT INTO {log} ({names})"
        " SELECT {others} FROM {log} AS log WHERE NOT coalesce(truncated, false)"
        " AND ({others}) IS NOT NULL AND NOT ({known})"
        " UNION SELECT {odd_keys} FROM {log} AS log JOIN {odd} AS odd ON {same}"
        " WHERE NOT coalesce(truncated, false)"
    ).format(
        log=log_table(spec),
        names=comma.join(log_keys(spec)),
        others=comma.join(others),
        known=all_equal(spec.key_columns, others, [key for _, key in keys]),
        odd_keys=comma.join(SQL("odd.{}").format(key) for key in log_keys(spec)),
        odd=odd_table(spec),
        same=_same_odd(spec, [SQL("({})").format(value) for value in nexts]),
    )


def _same_odd(spec: TableSpec, nexts: Sequence[Composable]) -> Composable:
    """The row `odd` has this next key: of converted columns the text of what they become, else the value itself."""
    return SQL(" AND ").join(
        SQL("odd.{} OPERATOR(pg_catalog.=) {}::pg_catalog.text").format(Identifier(f"c{n}"), value)
        if column.converted
        else equal(column, SQL("odd.{}").format(key), value)
        for n, (column, key, value) in enumerate(zip(spec.key_columns, log_keys(spec), nexts, strict=True), start=1)
    )


def refuse_collisions(connection: Connection, spec: TableSpec) -> None:
    """Two live rows that became one uuid would replace each other in silence: refuse.

    A twin of a logged key is spelled canonically (found by the live key's own index) or stands among
    the odd spellings, which verification and every drain collect.
    """
    remember_odd(connection, spec, logged_rows(spec), SQL("true"))
    twins = run(connection, twins_in_log(spec, connection.info.server_version), prepare=True).fetchall()
    if twins:
        raise NeedsOperator(
            f"{spec.full_name}: rows with different texts become the same uuid: "
            + "; ".join(str(twin[0]) for twin in twins)
            + ". Change or delete one row of each pair in the live table, then `replank retry` and run again."
        )


def logged_rows(spec: TableSpec) -> Composable:
    """A FROM clause: the live rows whose keys are in the log."""
    return SQL("{} JOIN {} ON {}").format(source(spec), logged(spec), same_key(spec, "live"))


def twins_in_log(spec: TableSpec, version: int) -> Composable:
    """Some spellings, one text for each uuid that a logged key shares with another live row; all odd ones are kept."""
    next_keys = [
        converted_if_valid(column, key, version) for column, key in zip(spec.key_columns, log_keys(spec), strict=True)
    ]
    batch = SQL("SELECT DISTINCT {} FROM {} WHERE NOT coalesce(truncated, false)").format(
        SQL(", ").join(
            SQL("{} AS {}").format(value, key) for value, key in zip(next_keys, log_keys(spec), strict=True)
        ),
        log_table(spec),
    )
    keys = list(zip(spec.key_columns, log_keys(spec), strict=True))
    by_canonical = all_equal(
        spec.key_columns,
        [Identifier("live", column.name) for column, _ in keys],
        [canonical(column, SQL("batch.{}").format(key), version) for column, key in keys],
    )
    same_c = _same_odd(spec, keys_of(spec, "batch"))
    live_odd = same_key(spec, "live", "odd")
    as_text = SQL("ROW({})::text").format(column_list(spec.key_columns, "live"))
    batch_text = SQL("ROW({})::text").format(SQL(", ").join(SQL("batch.{}").format(key) for key in log_keys(spec)))
    return SQL(
        "WITH batch AS ({batch}) SELECT string_agg(spelling, ' and ') FROM ("
        " SELECT {id} AS id, {spelling} AS spelling FROM batch JOIN {live} ON {by_canonical}"
        " UNION SELECT {id}, {spelling} FROM batch JOIN {odd} AS odd ON {same_c}"
        " JOIN {live} ON {live_odd}) AS found GROUP BY id HAVING count(*) > 1 LIMIT 3"
    ).format(
        batch=batch,
        id=batch_text,
        spelling=as_text,
        live=source(spec),
        by_canonical=by_canonical,
        odd=odd_table(spec),
        same_c=same_c,
        live_odd=live_odd,
    )


def twins_of_odd(connection: Connection, spec: TableSpec) -> list[str]:
    """Some keys that more than one row of the next table has, as text, where no unique index sees to that.

    One of two twins is always spelled oddly, and a verification of values has kept all odd spellings.
    """
    return [str(key[0]) for key in run(connection, twins_in_next(spec)).fetchall()]


def twins_in_next(spec: TableSpec) -> Composable:
    """The statement of `twins_of_odd`."""
    same = SQL(" AND ").join(
        equal(
            column,
            Identifier("next", column.name),
            SQL("odd.{}::{}").format(Identifier(f"c{n}"), type_name(column.next_type))
            if column.converted
            else SQL("odd.{}").format(key),
        )
        for n, (column, key) in enumerate(zip(spec.key_columns, log_keys(spec), strict=True), start=1)
    )
    keys = column_list(spec.key_columns, "next")
    return SQL(
        "SELECT ROW({keys})::text FROM {odd} AS odd JOIN {next} ON {same} GROUP BY {keys}"
        " HAVING count(DISTINCT (next.tableoid::text, next.ctid::text)) > 1 LIMIT 3"
    ).format(keys=keys, odd=odd_table(spec), next=next_rows(spec), same=same)
