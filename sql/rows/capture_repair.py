"""Capture triggers as they were made: whether they still are, and making them so again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.sql import SQL, Identifier

from replank.errors import NeedsOperator
from replank.values.table_spec import TableSpec
from sql.rows.capture import (
    EACH_ROW,
    EACH_STATEMENT,
    PREFIX,
    Enabled,
    Event,
    capture_function,
    create_function,
    create_trigger,
    function_body,
)
from sql.rows.capture_continuity import CaptureFacts, captured_table, read_capture_facts
from sql.rows.change_log import log_table
from sql.session.connection import Connection, apply_settings, row, rows
from sql.session.named_queries import query
from sql.session.statements import execute

_TYPES: Mapping[Event, int] = {"insert": 4, "delete": 8, "update": 16, "truncate": 32, "row": 29}
"""`pg_trigger.tgtype` of each: bits of events, and 1 for a trigger that fires for each row."""

_OLD_ROWS: tuple[Event, ...] = ("update", "delete")
_NEW_ROWS: tuple[Event, ...] = ("insert", "update")

TIMES = 3


def ensure_capture(connection: Connection, spec: TableSpec, *, lock_timeout_ms: int) -> tuple[CaptureFacts, bool]:
    """The facts of capture, from a moment at which it was complete; and whether it had to be restored for that.

    Read before it is checked whether it stands: whatever happens after the reading is seen later. Raises NeedsOperator
    where it is switched off again and again, psycopg's LockNotAvailable where the table is busy.
    """
    restored = False
    for _ in range(TIMES):
        found = read_capture_facts(connection, [captured_table(spec)])[spec.table_no]
        if capture_is_complete(connection, spec):
            return found, restored
        restore(connection, spec, lock_timeout_ms=lock_timeout_ms)
        restored = True
    raise NeedsOperator(
        f"{spec.full_name}: another session drops or disables the triggers {PREFIX}… as soon as they are restored. "
        "Nothing was swapped. Find the cause (an event trigger?), then `replank retry` and run again."
    )


def capture_is_complete(connection: Connection, spec: TableSpec) -> bool:
    """Whether every trigger is there, enabled, and as it was made, on the table and all of its partitions."""
    named = {"function": spec.capture_name}
    function = row(connection, query("capture_facts.function_body"), named)
    if function is None or function["body"] != _body(connection, spec):
        return False
    found = rows(connection, query("capture_facts.capturing"), {**named, "oid": spec.oid})
    capturing = {(r["oid"], r["trigger"]) for r in found if r["trigger"] and _as_made(spec, r)}
    relations = {r["oid"] for r in found}
    return all(
        (oid, PREFIX + event) in capturing
        for event, _ in _wanted(spec)
        for oid in (relations if spec.partitioned else {spec.oid})
    )


def _wanted(spec: TableSpec) -> tuple[tuple[Event, Enabled], ...]:
    return EACH_STATEMENT if spec.capture == "statement" else EACH_ROW


def _body(connection: Connection, spec: TableSpec) -> str:
    return function_body(spec, log_table(spec), each=spec.capture).as_string(connection)


def _as_made(spec: TableSpec, found: Mapping[str, Any]) -> bool:
    for event, enabled in _wanted(spec):
        if found["trigger"] == PREFIX + event:
            transition = spec.capture == "statement"
            return bool(
                found["plain"]
                and found["type"] == _TYPES[event]
                and found["enabled"] == enabled[0]
                and found["old_rows"] == ("old_rows" if transition and event in _OLD_ROWS else None)
                and found["new_rows"] == ("new_rows" if transition and event in _NEW_ROWS else None)
            )
    return False


def restore(connection: Connection, spec: TableSpec, *, lock_timeout_ms: int) -> None:
    """Function and triggers as they were made, in one transaction. It waits for writers that are under way."""
    with connection.transaction():
        apply_settings(connection, {"lock_timeout": f"{lock_timeout_ms}ms"}, local=True)
        execute(connection, create_function(spec, replace=True))
        found = rows(connection, query("capture_facts.capturing"), {"function": spec.capture_name, "oid": spec.oid})
        named = {r["oid"]: Identifier(r["schema"], r["name"]) for r in found}
        if spec.oid not in named:
            raise NeedsOperator(
                f"{spec.full_name} is gone. Run `replank rollback`, correct the plan, and run it again."
            )
        for event, enabled in _wanted(spec):
            # A trigger for rows is the partitions' too; one for TRUNCATE is each one's own.
            own = list(named) if spec.partitioned and event == "truncate" else [spec.oid]
            for oid in own:
                trigger = PREFIX + event
                made = create_trigger(named[oid], trigger, capture_function(spec), event, enabled, replace=True)
                execute(connection, made)
            for oid in set(named) - set(own) if spec.partitioned else ():
                connection.execute(
                    SQL("ALTER TABLE ONLY {} ENABLE {} TRIGGER {}").format(
                        named[oid], SQL(enabled), Identifier(PREFIX + event)
                    )
                )
