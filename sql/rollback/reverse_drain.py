"""Draining back: apply what was logged on the new table to the past one, in one transaction at one snapshot.

As the forward drain, with two differences: a past row is found by the spellings that its key may have had, and a
converted column keeps its text where its uuid is still the same. Rows whose keys are not in the log are not touched.
"""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import errors
from psycopg.sql import SQL, Composable, Identifier

from replank.errors import NeedsOperator
from replank.values.reference import quarantine_name
from replank.values.table_spec import ColumnSpec
from sql.drain.drain import Drained
from sql.rollback.original_texts import original_text
from sql.rollback.table_pair import (
    TablePair,
    equal,
    logged,
    logged_past,
    new_rows,
    of_log,
    of_new,
    past_keys,
    past_rows,
    taken_over,
    was_table,
    was_text,
)
from sql.rows.change_log import ANALYZE_FROM_ROWS, FEW_KEYS, MANY_KEYS, keys_of, log_keys
from sql.rows.reverse_capture import reverse_log
from sql.session.connection import Connection, locally, rows, run
from sql.session.table_names import past_table
from sql.values.conversion import column_list, converted_if_valid, row_hash, same_parent_key, type_name
from sql.values.conversions.choose import conversion_of
from sql.values.equality_operators import leads_to


def reverse_drain(connection: Connection, pair: TablePair) -> Drained:
    """Drain the log in the caller's transaction; every drained key is compared before it may commit.

    The transaction is REPEATABLE READ, or holds a lock that keeps all writers out. Raises psycopg's DataError or
    IntegrityError where a new row does not fit into the past table.
    """
    count = SQL("SELECT count(*), coalesce(bool_or(truncated), false) FROM {}").format(reverse_log(pair.spec))
    keys, truncated = run(connection, count, prepare=True).fetchall()[0]
    if keys == 0:
        return Drained(keys=0, inserted=0, truncated=False, mismatches=0)
    if truncated:
        keys += _log_vanished(connection, pair)
    few = keys < ANALYZE_FROM_ROWS
    if not few:
        connection.execute(SQL("ANALYZE {}").format(reverse_log(pair.spec)))
    # The plan for many keys must not be the one that is kept for the lock.
    with locally(connection, FEW_KEYS if few else MANY_KEYS):
        inserted = [
            run(connection, statement, prepare=few).rowcount for statement in drain_statements(connection, pair)
        ][-1]
        found = run(connection, counted_mismatches(connection, pair), prepare=few).fetchone()
        mismatches = int(found[0]) if found else 0
        run(connection, SQL("DELETE FROM {}").format(was_table(pair.spec)), prepare=few)
        run(connection, SQL("DELETE FROM {}").format(reverse_log(pair.spec)), prepare=few)
    return Drained(keys=keys, inserted=inserted, truncated=truncated, mismatches=mismatches)


def _log_vanished(connection: Connection, pair: TablePair) -> int:
    """TRUNCATE logs no keys: every key that only the past table has is logged. Returns how many there are."""
    return run(connection, logged_vanished(connection, pair)).rowcount


def logged_vanished(connection: Connection, pair: TablePair) -> Composable:
    """The statement that logs the keys that only the past table has."""
    keys = past_keys(connection, pair)
    return SQL(
        "INSERT INTO {} ({}) SELECT {} FROM {} WHERE {} AND NOT EXISTS (SELECT FROM {} WHERE {})"
        " AND ROW({}) IS NOT NULL"
    ).format(
        reverse_log(pair.spec),
        SQL(", ").join(log_keys(pair.spec)),
        SQL(", ").join(keys),
        past_rows(pair),
        taken_over(pair),
        new_rows(pair),
        equal(pair, of_new(pair), keys),
        SQL(", ").join(keys),
    )


def drain_statements(connection: Connection, pair: TablePair) -> list[Composable]:
    """The statements of a drain, in their order: past rows are remembered, deleted, and come in as they are now."""
    return [_remember(connection, pair), _delete(pair), _insert(connection, pair)]


def _remember(connection: Connection, pair: TablePair) -> Composable:
    texts = [Identifier("past", column.name) for column in pair.converted]
    return SQL("INSERT INTO {} SELECT {} FROM {}").format(
        was_table(pair.spec), SQL(", ").join([*of_log(pair), *texts]), logged_past(connection, pair)
    )


def _delete(pair: TablePair) -> Composable:
    numbers = {column.name: number for number, column in enumerate(pair.converted, start=1)}
    same = equal(
        pair,
        [Identifier("past", name) for name in pair.spec.key],
        [
            SQL("was.{}").format(was_text(numbers[name]) if name in numbers else key)
            for name, key in zip(pair.spec.key, log_keys(pair.spec), strict=True)
        ],
    )
    return SQL("DELETE FROM {} USING {} AS was WHERE {}").format(past_rows(pair), was_table(pair.spec), same)


def _insert(connection: Connection, pair: TablePair) -> Composable:
    """Values go in by assignment: a text that is too long for its column is an error, never cut."""
    version = connection.info.server_version
    was_keys = [SQL("was.{}").format(key) for key in log_keys(pair.spec)]
    numbers = {column.name: number for number, column in enumerate(pair.converted, start=1)}
    values: list[Composable] = []
    for column in pair.written:
        new = Identifier("new", column.name)
        if not column.converted:
            values.append(new)
            continue
        text = SQL("was.{}").format(was_text(numbers[column.name]))
        values.append(
            SQL(
                "CASE WHEN {there} AND ({was} IS NOT DISTINCT FROM {new} OR ({new} IS NULL AND {emptied}))"
                " THEN {text} ELSE {other} END"
            ).format(
                there=SQL("pg_catalog.num_nulls({}) = 0").format(was_keys[0]),
                was=converted_if_valid(column, text, version),
                new=new,
                emptied=_emptied(pair, column, numbers),
                text=text if column.array else SQL("{}::pg_catalog.text").format(text),
                other=_as_text(pair, column, new, version),
            )
        )
    return SQL(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} JOIN {} ON {} LEFT JOIN {} AS was ON {}"
    ).format(
        past_table(pair.spec),
        column_list(pair.written),
        SQL(", ").join(values),
        new_rows(pair),
        logged(pair),
        equal(pair, of_new(pair), of_log(pair)),
        was_table(pair.spec),
        equal(pair, was_keys, of_log(pair)),
    )


def _as_text(pair: TablePair, column: ColumnSpec, new: Composable, version: int) -> Composable:
    """A new value as its past text. Elements of arrays have no spelling of their own."""
    if column.array:
        return SQL("{}::pg_catalog.text[]::{}").format(new, type_name(column.live_type))
    text = conversion_of(column, version).backward_text(new)
    if not column.remembered:
        return text
    return original_text(new, text, pair.places[column.name], pair.original_texts)


def _emptied(pair: TablePair, column: ColumnSpec, numbers: Mapping[str, int]) -> Composable:
    """Whether the run itself made a reference NULL, because the row that it refers to is quarantined."""
    tests = [
        SQL(
            "EXISTS (SELECT FROM {quarantined} AS quarantined JOIN {only}{parent} AS parent ON {same} WHERE {leads})"
        ).format(
            leads=leads_to(
                [
                    SQL("was.{}").format(was_text(numbers[name])) if name in numbers else Identifier("new", name)
                    for name in each.columns
                ],
                each.ref_columns,
                each.equality,
            ),
            quarantined=Identifier("replank", quarantine_name(pair.spec.run_id, each.parent_no)),
            only=SQL("" if each.parent_partitioned else "ONLY "),
            parent=Identifier(each.parent_schema, each.parent_name),
            same=same_parent_key(each),
        )
        for each in pair.references
        if column.name in each.nulled
    ]
    return SQL("({})").format(SQL(" OR ").join(tests)) if tests else SQL("false")


def counted_mismatches(connection: Connection, pair: TablePair) -> Composable:
    """The query for how many of the log's keys differ between past (converted) and new, at this snapshot."""
    version = connection.info.server_version
    return SQL(
        "SELECT count(*) FROM (SELECT {keys}, {past_hash} AS hash FROM {past}) AS p"
        " FULL JOIN (SELECT {keys}, {new_hash} AS hash FROM {new} JOIN {logged} ON {same}) AS n"
        " ON {both} WHERE p.hash IS DISTINCT FROM n.hash"
    ).format(
        keys=SQL(", ").join(of_log(pair)),
        past_hash=row_hash(pair.everything, "past", version, live=True),
        past=logged_past(connection, pair),
        new_hash=row_hash(pair.everything, "new", version, live=False),
        new=new_rows(pair),
        logged=logged(pair),
        same=equal(pair, of_new(pair), of_log(pair)),
        both=equal(pair, keys_of(pair.spec, "p"), keys_of(pair.spec, "n")),
    )


Misfit = errors.DataError | errors.IntegrityError


def why_it_does_not_fit(connection: Connection, pair: TablePair, error: Misfit) -> NeedsOperator:
    """A drain failed and was rolled back: what the operator has to change, with examples where texts are too long."""
    said = error.diag.message_primary or str(error)
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    long = _too_long(connection, pair) if isinstance(error, errors.StringDataRightTruncation) else []
    examples = f"; e.g. {'; '.join(long)}" if long else ""
    return NeedsOperator(
        f"{pair.spec.full_name}: a row of the new table does not fit into the past one: {said}{detail}{examples}. "
        "Nothing was swapped. Change or delete these rows in the live table, then run `replank rollback` again."
    )


def _too_long(connection: Connection, pair: TablePair) -> list[str]:
    """Some texts of logged rows that their past columns have no room for."""
    found: list[str] = []
    for column in (c for c in pair.converted if not c.array):
        text = _as_text(pair, column, Identifier("new", column.name), connection.info.server_version)
        asked = SQL(
            "SELECT {text} AS text FROM {new} JOIN {logged} ON {same} WHERE pg_catalog.length({text}) >"
            " (SELECT a.atttypmod - 4 FROM pg_attribute a WHERE a.attrelid = {oid}::oid AND a.attname = {name}"
            " AND a.atttypmod > 4) LIMIT 3"
        ).format(
            text=text,
            new=new_rows(pair),
            logged=logged(pair),
            same=equal(pair, of_new(pair), of_log(pair)),
            oid=pair.spec.oid,
            name=column.name,
        )
        found += [f"{column.name} ({column.live_type}) {each['text']}" for each in rows(connection, asked)]
    return found
