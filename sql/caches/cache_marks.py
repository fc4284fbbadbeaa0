"""Marks: the values whose rows have to be computed again, because a source of the cache has changed.

Triggers on the sources write them, as texts: no value of the application's can fail there. Applying marks
deletes the rows of the marked values from the next contents and asks the query for them again.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from replank.values.cache_spec import CacheSpec, SourceSpec
from sql.caches.cache_table import insert_statement
from sql.rows.capture import Enabled
from sql.session.connection import Connection, run, value
from sql.session.plpgsql import COLUMNS_FIRST
from sql.session.session_settings import pinned
from sql.session.table_names import next_table
from sql.values.equality_operators import operator

MOST_NAMED = 2_000
"""Up to so many marked values are written into the statement, where the planner can look them up by index."""

EVENTS = {
    "insert": ("INSERT", "REFERENCING NEW TABLE AS new_rows"),
    "update": ("UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"),
    "delete": ("DELETE", "REFERENCING OLD TABLE AS old_rows"),
}


@dataclass(frozen=True, kw_only=True)
class Applied:
    """How many marks there were, and how many rows the query gave for them."""

    marks: int
    rows: int


def marks_table(spec: CacheSpec) -> Identifier:
    return Identifier("replank", spec.marks_name)


def install_marks(connection: Connection, spec: CacheSpec) -> None:
    """Marks, functions and triggers, in the caller's one transaction with a short lock_timeout.

    CREATE TRIGGER waits for writers that are under way: whatever commits after this transaction is marked.
    """
    if not spec.sources:
        return
    connection.execute(
        SQL("CREATE TABLE {} (key text, everything boolean NOT NULL DEFAULT false)").format(marks_table(spec))
    )
    for number, source in enumerate(spec.sources, start=1):
        function = Identifier("replank", spec.mark_name(number))
        body = _body(spec, source)
        # A value must be written alike whatever the application's session has set.
        connection.execute(
            SQL(
                "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
                " SET search_path = pg_catalog, pg_temp {} AS {}"
            ).format(function, pinned(), Literal(body.as_string(connection)))
        )
        connection.execute(SQL("REVOKE ALL ON FUNCTION {}() FROM PUBLIC").format(function))
        _triggers(connection, spec, source, number, function)


def _body(spec: CacheSpec, source: SourceSpec) -> Composed:
    if source.capture != "statement":
        return SQL("{}{}").format(COLUMNS_FIRST, _row_body(spec, source))
    return SQL("{}BEGIN IF TG_LEVEL = 'ROW' THEN {}; ELSE {}; END IF; RETURN NULL; END").format(
        COLUMNS_FIRST, _row_body(spec, source), _statement_body(spec, source)
    )


def _statement_body(spec: CacheSpec, source: SourceSpec) -> Composed:
    return SQL(
        "BEGIN"
        " IF TG_OP = 'INSERT' THEN INSERT INTO {marks} (key) SELECT DISTINCT {new}::text FROM new_rows;"
        " ELSIF TG_OP = 'UPDATE' THEN"
        " INSERT INTO {marks} (key) SELECT {new}::text FROM new_rows UNION SELECT {old}::text FROM old_rows;"
        " ELSIF TG_OP = 'DELETE' THEN INSERT INTO {marks} (key) SELECT DISTINCT {old}::text FROM old_rows;"
        " ELSE INSERT INTO {marks} (everything) VALUES (true);"
        " END IF; RETURN NULL; END"
    ).format(
        marks=marks_table(spec),
        new=Identifier("new_rows", source.key),
        old=Identifier("old_rows", source.key),
    )


def _row_body(spec: CacheSpec, source: SourceSpec) -> Composed:
    return SQL(
        "BEGIN"
        " IF TG_OP = 'TRUNCATE' THEN INSERT INTO {marks} (everything) VALUES (true); RETURN NULL; END IF;"
        " IF TG_OP <> 'INSERT' THEN INSERT INTO {marks} (key) VALUES (OLD.{key}::text); END IF;"
        " IF TG_OP <> 'DELETE' THEN INSERT INTO {marks} (key) VALUES (NEW.{key}::text); END IF;"
        " RETURN NULL; END"
    ).format(marks=marks_table(spec), key=Identifier(source.key))


def _triggers(connection: Connection, spec: CacheSpec, source: SourceSpec, number: int, function: Identifier) -> None:
    root = (source.schema, source.name)
    if source.capture == "statement":
        for label, (event, transition) in EVENTS.items():
            _trigger(connection, spec, root, f"{number}_{label}", event, f"{transition} FOR EACH STATEMENT", function)
    # Logical replication fires no statement trigger for the rows that it applies (`sql.rows.capture`).
    enabled: Enabled = "REPLICA" if source.capture == "statement" else "ALWAYS"
    events = "INSERT OR UPDATE OR DELETE"
    _trigger(connection, spec, root, f"{number}_row", events, "FOR EACH ROW", function, enabled)
    for relation in source.relations:
        _trigger(connection, spec, relation, f"{number}_truncate", "TRUNCATE", "FOR EACH STATEMENT", function)


def _trigger(
    connection: Connection,
    spec: CacheSpec,
    table: tuple[str, str],
    label: str,
    event: str,
    each: str,
    function: Identifier,
    enabled: Enabled = "ALWAYS",
) -> None:
    name = Identifier(spec.trigger_prefix + label)
    connection.execute(
        SQL("CREATE TRIGGER {} AFTER {} ON {} {} EXECUTE FUNCTION {}()").format(
            name,
            SQL(event),
            Identifier(*table),
            SQL(each),
            function,
        )
    )
    # Otherwise `session_replication_role = replica` would switch it off in silence.
    connection.execute(SQL("ALTER TABLE {} ENABLE {} TRIGGER {}").format(Identifier(*table), SQL(enabled), name))


def remove_marks(connection: Connection, spec: CacheSpec) -> None:
    """Drop triggers, functions and marks; what is not there is no error. Locks the sources for a moment."""
    for number in range(1, len(spec.sources) + 1):
        function = Identifier("replank", spec.mark_name(number))
        connection.execute(SQL("DROP FUNCTION IF EXISTS {}() CASCADE").format(function))
    connection.execute(SQL("DROP TABLE IF EXISTS {}").format(marks_table(spec)))


def count_marks(connection: Connection, spec: CacheSpec) -> int:
    """Marks that wait; a TRUNCATE counts as one."""
    return int(value(connection, SQL("SELECT count(*) FROM {}").format(marks_table(spec)))) if spec.sources else 0


def everything_marked(connection: Connection, spec: CacheSpec) -> bool:
    """Whether a source was emptied: then every row has to be computed again."""
    asked = SQL("SELECT EXISTS (SELECT FROM {} WHERE everything)").format(marks_table(spec))
    return bool(spec.sources) and bool(value(connection, asked))


def apply_marks(connection: Connection, spec: CacheSpec) -> Applied:
    """Compute the marked values again, and forget the marks, in the caller's transaction.

    All of it must see one moment: REPEATABLE READ, or a lock that keeps writers of the sources out.
    """
    count = count_marks(connection, spec)
    if not count:
        return Applied(marks=0, rows=0)
    if everything_marked(connection, spec):
        run(connection, SQL("DELETE FROM {}").format(next_table(spec)))
        inserted = run(connection, insert_statement(spec, SQL("true"))).rowcount
    else:
        column_type = next(column.live_type for column in spec.columns if column.name == spec.cut_by)
        stale = _marked(connection, spec, Identifier("next", spec.cut_by), column_type)
        run(connection, SQL("DELETE FROM {} AS next WHERE {}").format(next_table(spec), stale))
        wanted = _marked(connection, spec, Identifier("q", spec.cut_by), spec.cut_type)
        inserted = run(connection, insert_statement(spec, wanted)).rowcount
    run(connection, SQL("DELETE FROM {}").format(marks_table(spec)))
    return Applied(marks=count, rows=int(inserted))


def _marked(connection: Connection, spec: CacheSpec, column: Identifier, column_type: str) -> Composable:
    """The condition that a row's value is marked, NULL among them."""
    typed, is_equal = SQL(column_type), operator(spec.cut_operators)
    asked = SQL("SELECT DISTINCT key FROM {} LIMIT {}").format(marks_table(spec), MOST_NAMED + 1)
    keys = [key for (key,) in run(connection, asked).fetchall()]
    if len(keys) <= MOST_NAMED:
        named = [key for key in keys if key is not None]
        among = SQL("{} {} ANY ({}::text[]::{}[])").format(column, is_equal, Literal(named), typed)
        return SQL("({} OR {} IS NULL)").format(among, column) if None in keys else among
    return SQL(
        "({0} {3} ANY (SELECT key::{1} FROM {2} WHERE key IS NOT NULL)"
        " OR ({0} IS NULL AND EXISTS (SELECT FROM {2} WHERE key IS NULL)))"
    ).format(column, typed, marks_table(spec), is_equal)
