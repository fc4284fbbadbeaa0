"""The part of a rollback that needs no lock: past tables are laid open, brought up to date, and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from psycopg import errors
from psycopg.sql import SQL, Identifier

from producer.waiting.lock_retries import LockRetries
from replank.activity import doing
from replank.errors import NeedsOperator
from replank.values.states import RollbackStage
from replank.values.table_spec import TableSpec
from replank.wording import counted
from sql.catalogue import catalogue
from sql.ledger.runs import rollbacks
from sql.ledger.runs.events import add_event
from sql.ledger.runs.runs import Run
from sql.ledger.tables import conversion_sets, tables
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.rollback.disabled_triggers import disable_triggers
from sql.rollback.newer_objects import refuse_newer
from sql.rollback.original_texts import build_original_texts, original_texts_table, places
from sql.rollback.reverse_drain import why_it_does_not_fit
from sql.rollback.reverse_verification import differing_rows
from sql.rollback.set_rollback import SetRollback, count_orphans, drain_equal
from sql.rollback.table_pair import TablePair, as_new, create_was
from sql.rows import capture
from sql.rows.capture_continuity import (
    CaptureFacts,
    broken_reverse_captures,
    read_capture_facts,
    reverse_captured_table,
)
from sql.rows.reverse_capture import Captured, captured, enable_reverse_capture, provable
from sql.session.connection import Connection, apply_settings
from sql.session.one_snapshot import read_at_one_snapshot
from sql.session.passing_errors import OF_ROWS
from sql.session.statements import execute
from sql.swap.autovacuum import LiveAutovacuum, Settings
from sql.swap.drop_retained import read_retained
from sql.values.enum_drift import refuse_renamed_values

SHORT_LOG = 200
"""Rounds of draining end when one took no more keys than this."""

AUTOVACUUM_OF_NEW = "autovacuum_of_new"
"""A rollback fact under this name must outlive a killed attempt."""

ROUNDS = 20
COMPARISONS = 3
"""A TRUNCATE is seen by older snapshots: a comparison beside one is made again."""


def read_set(connection: Connection, run: Run, one: ConversionSet) -> SetRollback:
    """The set as the ledger and the catalogue know it now."""
    (present,) = (s for s in conversion_sets.read_sets(connection, run.run_id) if s.set_no == one.set_no)
    members = [t.spec for t in tables.read_tables(connection, run.run_id) if t.set_no == one.set_no]
    # What a cutover had to give up comes back.
    keys = [{name: said for name, said in key.items() if name != "lost"} for key in one.foreign_keys]
    where = places(members, keys)
    known = present.rollback_facts or {}
    return SetRollback(
        pairs=tuple(
            TablePair(
                spec=spec,
                new=as_new(connection, spec),
                places={name: place for (number, name), place in where.items() if number == spec.table_no},
                original_texts=original_texts_table(run.run_id, one.set_no),
            )
            for spec in members
        ),
        foreign_keys=keys,
        published=known.get("published", []),
        disabled_triggers=known.get("disabled_triggers", []),
        autovacuum_before=one.autovacuum_before or {},
        autovacuum_of_new=known.get(AUTOVACUUM_OF_NEW),
    )


def autovacuum_of_new(
    connection: Connection, one: ConversionSet, new: Sequence[TableSpec], remembered: Settings | None
) -> LiveAutovacuum:
    """Autovacuum of the new tables, in whose place the past ones come: the ledger has it among the rollback facts."""
    return LiveAutovacuum(
        connection=connection,
        specs=new,
        remembered=remembered,
        remember=lambda before: conversion_sets.set_rollback_facts(connection, one, {AUTOVACUUM_OF_NEW: before}),
    )


def refused_row(
    connection: Connection, back: SetRollback, error: errors.DataError | errors.IntegrityError
) -> NeedsOperator:
    """Of which table it was, the server says for most errors."""
    named = error.diag.table_name
    pair = next((p for p in back.pairs if p.spec.name == named), back.pairs[0])
    return why_it_does_not_fit(connection, pair, error)


class TablesDiffer(NeedsOperator):
    """Past and new tables differ. `tables` gives some of each table's keys by its name."""

    def __init__(self, tables: Mapping[str, Sequence[str]]) -> None:
        self.tables = tables
        named = [
            f"{name}: past and new table differ in rows for which no change was captured: {', '.join(keys)}"
            for name, keys in tables.items()
        ]
        super().__init__(
            f"{'; '.join(named)}. Nothing was swapped back. Was a partition dropped or attached, or the past table "
            "written to, or capture disabled for a time? Make these rows equal, then `replank rollback` "
            "again. What you write to rows of the new table is drained into the past table, also an UPDATE "
            "that changes nothing."
        )


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What may be done again at every attempt; nothing of it touches a live table."""

    connection: Connection
    run: Run
    lock_retries: LockRetries
    say: Callable[[str], None]
    actor: str = "operator"

    def prepare(self, one: ConversionSet) -> dict[int, CaptureFacts]:
        """Everything that does not need the lock: the map of spellings, all captured changes, and the comparison.

        Returns reverse capture's state when that began, by table number: the comparison counts while it is the same.
        """
        back = read_set(self.connection, self.run, one)
        self._set_stage(RollbackStage.PREPARING, f"set {one.set_no}")
        for pair in back.pairs:
            self._refuse_gone(pair.spec)
        self._refuse_missed(one, back)
        self._enable_capture(back)
        capture_facts = read_capture_facts(self.connection, [reverse_captured_table(pair.spec) for pair in back.pairs])
        refuse_renamed_values(self.connection, [pair.spec for pair in back.pairs])
        refuse_newer(self.connection, back.pairs, back.foreign_keys)
        self.lock_retries.until_granted(
            lambda: self._detach_past_tables(one, back),
            what=f"a past table of set {one.set_no}",
            command="replank rollback",
        )
        members = [pair.spec for pair in back.pairs]
        with self.connection.transaction():
            where = places(members, back.foreign_keys)
            execute(self.connection, build_original_texts(self.connection, members, where, set_no=one.set_no))
        differing = {}
        for pair in back.pairs:
            self._set_stage(RollbackStage.COMPARING, pair.spec.full_name)
            self._drain(pair)
            keys = self._verify(pair)
            if keys:
                differing[pair.spec.full_name] = keys
        if differing:
            raise TablesDiffer(differing)
        self._try_keys(back)
        return capture_facts

    def _set_stage(self, stage: RollbackStage, subject: str) -> None:
        doing(f"{stage.replace('_', ' ')} {subject}")
        rollbacks.set_stage(self.connection, self.run.run_id, stage, subject)

    def _refuse_gone(self, spec: TableSpec) -> None:
        there = read_retained(self.connection, [(spec.past_schema, spec.name)])
        if [relation.oid for relation in there] != [spec.oid]:
            raise NeedsOperator(
                f"{spec.past_schema}.{spec.name} does not exist, or is not the past table of this cutover: no rollback "
                "is possible. `replank finish` removes what was kept for one."
            )

    def _refuse_missed(self, one: ConversionSet, back: SetRollback) -> None:
        """What has touched reverse capture since the cutover, even where it is intact again: the comparison of all rows
        tells whether a change was missed, but for columns that the run has filled."""
        (present,) = (s for s in conversion_sets.read_sets(self.connection, self.run.run_id) if s.set_no == one.set_no)
        specs = {pair.spec.table_no: pair.spec for pair in back.pairs}
        found = broken_reverse_captures(
            self.connection, specs.values(), (present.rollback_facts or {}).get("capture_facts", {})
        )
        for number, why in found.items():
            if not provable(specs[number]):
                raise NeedsOperator(
                    f"{specs[number].full_name}: since the cutover {why}. Which rows changed then is not known, and a "
                    "comparison cannot find it in columns that the run has filled: a rollback would lose changes."
                )
            words = f"since the cutover {why}; comparing every row shows whether a change was missed"
            self._report(specs[number], words)

    def _report(self, spec: TableSpec, words: str) -> None:
        self.say(f"{spec.full_name}: {words}")
        add_event(
            self.connection, self.run.run_id, actor=self.actor, kind="rollback", subject=spec.full_name, message=words
        )

    def _enable_capture(self, back: SetRollback) -> None:
        """Enable capture that another session has disabled, by `DISABLE TRIGGER ALL` perhaps.

        From here on nothing is missed, and what was missed before is found by the comparison of all rows, which comes
        after this. Where that could not find everything, it stays off, and the refusal that follows says why.
        """
        known = captured(self.connection, [pair.spec for pair in back.pairs])
        for pair in back.pairs:
            if known[pair.spec.table_no] is Captured.NOT_ALWAYS and provable(pair.spec):
                options = self.run.plan.options
                self.lock_retries.until_granted(
                    partial(
                        enable_reverse_capture,
                        self.connection,
                        pair.spec,
                        pair.new,
                        lock_timeout_ms=options.lock_timeout_ms,
                    ),
                    what=pair.spec.full_name,
                    command="replank rollback",
                )
                words = (
                    "its triggers replank_capture_back_… were disabled; they are enabled again, and comparing "
                    "every row shows whether a change was missed"
                )
                self._report(pair.spec, words)

    def _detach_past_tables(self, one: ConversionSet, back: SetRollback) -> None:
        """Nothing of the past tables may act on our writes: no foreign key, no trigger, no rule, no forward capture."""
        options = self.run.plan.options
        with self.connection.transaction():
            apply_settings(self.connection, {"lock_timeout": f"{options.lock_timeout_ms}ms"}, local=True)
            for pair in back.pairs:
                execute(self.connection, [*capture.remove(pair.spec), create_was(pair)])
            for key in catalogue.read_foreign_keys(self.connection, [pair.spec.oid for pair in back.pairs]):
                table = Identifier(key.schema, key.table_name)
                statement = SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table, Identifier(key.name))
                self.connection.execute(statement)
            disabled_triggers = disable_triggers(self.connection, back.past_relations)
            if disabled_triggers:
                known = [*back.disabled_triggers, *disabled_triggers]
                conversion_sets.set_rollback_facts(self.connection, one, {"disabled_triggers": known})

    def _drain(self, pair: TablePair) -> None:
        """In rounds, while the application writes, until a round finds little."""
        total = 0
        for _ in range(ROUNDS):
            keys = self._one_drain(pair)
            total += keys
            if keys <= SHORT_LOG:
                break
        if total:
            self.say(f"{pair.spec.full_name}: {counted(total, 'logged change')} drained into the past table")

    def _one_drain(self, pair: TablePair) -> int:
        try:
            return read_at_one_snapshot(self.connection, lambda: drain_equal(self.connection, pair))
        except OF_ROWS as error:
            raise why_it_does_not_fit(self.connection, pair, error) from None

    def _verify(self, pair: TablePair) -> list[str]:
        """Some keys of rows that differ; none where both sides say the same."""
        differing: list[str] = []
        for _ in range(COMPARISONS):
            differing = read_at_one_snapshot(self.connection, lambda: differing_rows(self.connection, pair))
            if not differing:
                self.say(f"{pair.spec.full_name}: past and new table are equal")
                return []
            self._drain(pair)
        return differing

    def _try_keys(self, back: SetRollback) -> None:
        """Foreign keys within the set, at one moment of all its tables: after the swap it would be too late."""
        for pair in back.pairs:
            self._one_drain(pair)
        read_at_one_snapshot(self.connection, lambda: self._try_keys_now(back))

    def _try_keys_now(self, back: SetRollback) -> None:
        for pair in back.pairs:
            drain_equal(self.connection, pair)
        for key in (key for key in back.foreign_keys if key["validated"]):
            orphans = count_orphans(self.connection, back, key)
            if orphans:
                raise NeedsOperator(
                    f"{key['schema']}.{key['table_name']}: {counted(orphans, 'row')} would break foreign key "
                    f"{key['name']} of the past tables: their parent rows are missing, or their texts differ. Nothing "
                    "was swapped back. Correct or delete these rows in the live table, then `replank rollback` again."
                )
