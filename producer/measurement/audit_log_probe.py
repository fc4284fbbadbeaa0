"""Proving the audit log: writes of every kind in every table, looked for in the log, and rolled back.

Nothing of it stays but gaps (in the numbers of the audit log, and in sequences where a table takes no row without them)
and a few dead rows for vacuum.
Triggers of the application's fire as on any write; what they do inside the database is rolled back too.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import psycopg
from psycopg.sql import SQL, Identifier

from replank.backoff import SHORT_LOCK
from replank.plan.steps.steps_plan import AuditLogPlan, StepsPlan
from replank.plan.text.plan_words import split_name
from replank.values.measurement import AuditProbe
from sql.catalogue.relations import NamedTable, looked_up, read_relations
from sql.measurement import measure, probe_writes
from sql.measurement.probe_writes import Place, Row, Shape
from sql.session.connection import Connection, apply_settings, rows, value
from sql.session.passing_errors import LOCK_MISSED

ACTOR = "replank probe"
STATEMENT_TIMEOUT_MS = 5_000
ATTEMPTS = 5
WRITES = ("insert", "update", "delete")


def audited_tables(
    connection: Connection, steps: StepsPlan, schemas: Iterable[str]
) -> tuple[list[NamedTable], list[str]]:
    """What the log has to capture: the tables that the plan names, or all there are now in `schemas`.

    The plan's names are those of before step 07. Also the names of which there is no table, old or new.
    """
    asked = steps.audit_log
    if asked is None:
        return [], []
    there = {name: table for name, table in read_relations(connection).items() if table.schema != asked.table_schema}
    if asked.tables is None:
        return [table for table in there.values() if table.schema in set(schemas)], []
    named = [full if (full := ".".join(split_name(name))) in there else _after(steps, name) for name in asked.tables]
    return looked_up(there, named)


def _after(steps: StepsPlan, name: str) -> str:
    """What step 07 calls a table."""
    schema, table = split_name(name)
    return f"{schema}.{table if steps.mappings is None else steps.mappings.table_to(schema, table)}"


def probe_tables(
    connection: Connection,
    steps: StepsPlan,
    *,
    schemas: Iterable[str],
    lock_timeout_ms: int,
    go_on: Callable[[], None] = lambda: None,
) -> Iterator[AuditProbe]:
    """What the log saw of each table, one transaction after the other. `go_on` raises where it is to stop."""
    asked = steps.audit_log
    if asked is None:
        return
    captured = measure.audited(connection, asked.table_schema)
    found_tables, unknown = audited_tables(connection, steps, schemas)
    for name in unknown:
        yield AuditProbe(table=name, seen=(), missing=("the table does not exist any more",))
    for table in found_tables:
        go_on()
        triggers = captured.get(table.full_name, ())
        probe = _Probe(connection=connection, asked=asked, table=table, lock_timeout_ms=lock_timeout_ms)
        found = probe.take()
        if "truncate" not in triggers:
            found = AuditProbe(
                table=found.table, seen=found.seen, missing=(*found.missing, "truncate: no trigger captures it")
            )
        yield found


@dataclass(kw_only=True)
class _Probe:
    """The probe of one table."""

    connection: Connection
    asked: AuditLogPlan
    table: NamedTable
    lock_timeout_ms: int
    random_source: random.Random = field(default_factory=random.Random)
    _request: str = field(default_factory=lambda: f"replank-probe-{uuid.uuid4()}")
    _seen: list[str] = field(default_factory=list)
    _missing: dict[str, str] = field(default_factory=dict)
    _mark: int = 0

    def take(self) -> AuditProbe:
        """Try every kind of write. A lock that others hold is asked for a few times."""
        for attempt in range(1, ATTEMPTS + 1):
            self._seen, self._missing = [], {}
            try:
                with self.connection.transaction(force_rollback=True):
                    self._write()
                break
            except psycopg.Error as error:
                if self.connection.closed:
                    raise
                for write in WRITES:
                    if write not in self._seen:
                        self._missing[write] = measure.error_text(error)
                if not isinstance(error, LOCK_MISSED) or attempt == ATTEMPTS:
                    break
                time.sleep(SHORT_LOCK.wait_s(attempt, self.random_source))
        missing = tuple(f"{write}: {self._missing[write]}" for write in WRITES if write in self._missing)
        return AuditProbe(table=self.table.full_name, seen=tuple(w for w in WRITES if w in self._seen), missing=missing)

    def _write(self) -> None:
        """Update a row that is there to what it is, insert a copy of it, delete the copy."""
        limits = {"lock_timeout": f"{self.lock_timeout_ms}ms", "statement_timeout": f"{STATEMENT_TIMEOUT_MS}ms"}
        who = {self.asked.actor: ACTOR, self.asked.request: self._request}
        apply_settings(self.connection, {**limits, **who}, local=True)
        self.connection.execute("SET LOCAL search_path TO DEFAULT")
        log = Identifier(self.asked.table_schema, "audit_log")
        self._mark = value(self.connection, SQL("SELECT coalesce(max(id), 0) FROM {}").format(log))
        shape = probe_writes.read_shape(self.connection, self.table)
        there = probe_writes.some_row(self.connection, shape)
        if there is None:
            self._on_a_made_row(shape)
        else:
            self._insert_and_delete(shape, self._update(shape, there))

    def _update(self, shape: Shape, there: Place) -> Place:
        """Where the row is afterwards."""
        updated = self._try("update", lambda: probe_writes.update_in_place(self.connection, shape, there))
        if updated is not None:
            self._expect("update", there.row, updated.row)
        return updated or there

    def _on_a_made_row(self, shape: Shape) -> None:
        """There is no row here, or all are locked: one is inserted."""
        made = self._try("insert", lambda: probe_writes.insert_made(self.connection, shape))
        if made is None:
            for write in ("update", "delete"):
                self._missing[write] = "there is no row to write, and none could be inserted"
            return
        self._expect("insert", None, made.row)
        self._delete(shape, self._update(shape, made))

    def _insert_and_delete(self, shape: Shape, there: Place) -> None:
        for defaults in (False, True):
            made = self._try(
                "insert", partial(probe_writes.insert_copy, self.connection, shape, there, defaults=defaults)
            )
            if made is not None:
                self._expect("insert", None, made.row)
                self._delete(shape, made)
                return
        if not shape.referenced:
            again = self._try("insert", lambda: probe_writes.insert_again(self.connection, shape, there))
            if again is not None:
                self._expect("insert", None, again.row)
                self._expect("delete", there.row, None)
                return
        self._missing["delete"] = "the probe deletes only rows that it inserted, and it could insert none"

    def _delete(self, shape: Shape, made: Place) -> None:
        if self._try("delete", lambda: probe_writes.delete_row(self.connection, shape, made)) is not None:
            self._expect("delete", made.row, None)

    def _try(self, write: str, make: Callable[[], Place | None]) -> Place | None:
        """The row that was written; None, and a reason among the missing ones, where that failed."""
        try:
            with self.connection.transaction():
                made = make()
        except LOCK_MISSED:
            raise
        except psycopg.Error as error:
            if self.connection.closed:
                raise
            self._missing[write] = measure.error_text(error)
            return None
        if made is None:
            self._missing[write] = "a trigger or rule of the application suppressed the write"
            return None
        self._missing.pop(write, None)
        return made

    def _expect(self, write: str, old: Row | None, new: Row | None) -> None:
        """The log must have exactly these rows, of this actor and request."""
        log = Identifier(self.asked.table_schema, "audit_log")
        found = rows(
            self.connection,
            SQL(
                "SELECT action, old_row, new_row, actor, request_id FROM {} WHERE id > {} AND created_at >= now()"
                " AND transaction_id = pg_current_xact_id() AND table_schema = {} AND table_name = {} ORDER BY id"
            ).format(log, self._mark, self.table.schema, self.table.name),
        )
        of_kind = [r for r in found if r["action"] == write]
        right = _of(of_kind, old, new)
        if not right and not self.table.key:
            # Without a key the log cannot pair both rows of an update: each has an entry of its own.
            right = _of(of_kind, old, None) and _of(of_kind, None, new)
        if not of_kind:
            self._missing[write] = "the log has no entry for it"
        elif not right:
            self._missing[write] = "the log's entry does not match the written rows"
        elif not any((r["actor"], r["request_id"]) == (ACTOR, self._request) for r in right):
            self._missing[write] = "the log's entry has another actor or request"
        else:
            self._seen.append(write)


def _of(found: Sequence[Row], old: Row | None, new: Row | None) -> list[Row]:
    return [entry for entry in found if (entry["old_row"], entry["new_row"]) == (old, new)]
