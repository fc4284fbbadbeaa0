"""Rollback after the cutover: the past tables become live again, with everything that was written since.

In steps that the ledger knows: what is captured is drained into the past tables and compared, set by set the tables
change places, foreign keys are validated, and only then the new tables are dropped. Killed anywhere, the same
command goes on.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from psycopg import IsolationLevel, errors, sql

from producer.cutting_over import PASSING
from producer.patience import Patience
from producer.restoring import Restoring
from replank.errors import NeedsPerson, OutcomeUnknown, TryAgain
from replank.states import RunState, TableState
from replank.table_spec import TableSpec
from sql import capture, catalogue
from sql.autovacuum import autovacuum_settings, quiet_autovacuum, restore_autovacuum
from sql.connection import Connection, apply_settings, isolated
from sql.cutover import CutoverLimits, CutoverTimes
from sql.ledger import runs, tables
from sql.ledger.runs import Run
from sql.ledger.tables import ConversionSet
from sql.newer_parts import refuse_newer
from sql.pair import Pair, as_new, create_was
from sql.reverse_drain import why_it_does_not_fit
from sql.reverse_verification import differing_rows
from sql.spellings import build_map, map_table, places
from sql.swap_back import SetBack, drain_equal, swap_back
from sql.switched import switch_off

SHORT_LOG = 200
"""Rounds of draining go on until one took no more keys than this."""

ROUNDS = 20
LOOKS = 3
"""A TRUNCATE is seen by older snapshots: a comparison beside one is made anew."""

LONGEST_WAIT_S = 5.0


@dataclass(frozen=True, kw_only=True)
class GoingBack:
    """One rollback of swapped sets, on the connection of the one who leads."""

    connection: Connection
    run: Run
    say: Callable[[str], None]
    sleep: Callable[[float], None]
    random_source: random.Random

    @property
    def patience(self) -> Patience:
        attempts = self.run.plan.options.capture_attempts
        return Patience(attempts=attempts, sleep=self.sleep, random_source=self.random_source)

    def go_back(self) -> None:
        """All sets that are swapped, the last one first. Raises NeedsPerson; then nothing is lost on either side."""
        swapped = [s for s in tables.read_sets(self.connection, self.run.run_id) if s.swapped_at is not None]
        waiting = [s for s in reversed(swapped) if s.returned_at is None]
        for one in waiting:
            self._make_ready(one)
        for one in waiting:
            self._return(one)
        restoring = Restoring(connection=self.connection, run=self.run, patience=self.patience)
        for one in reversed(swapped):
            restoring.restore(one)

    def _members(self, one: ConversionSet) -> list[TableSpec]:
        found = tables.read_tables(self.connection, self.run.run_id)
        return [table.spec for table in found if table.set_no == one.set_no]

    def _read(self, one: ConversionSet) -> SetBack:
        """The set as the ledger and the catalogue know it now."""
        (present,) = (s for s in tables.read_sets(self.connection, self.run.run_id) if s.set_no == one.set_no)
        members = self._members(one)
        # What a cutover had to give up comes back.
        keys = [{name: said for name, said in key.items() if name != "lost"} for key in one.foreign_keys]
        where = places(members, keys)
        known = present.way_back or {}
        return SetBack(
            pairs=tuple(
                Pair(
                    spec=spec,
                    new=as_new(self.connection, spec),
                    places={name: place for (number, name), (place, _) in where.items() if number == spec.table_no},
                    spellings=map_table(self.run.run_id, one.set_no),
                )
                for spec in members
            ),
            foreign_keys=keys,
            published=known.get("published", []),
            switched=known.get("switched", []),
            autovacuum_before=one.autovacuum_before or {},
        )

    def _make_ready(self, one: ConversionSet) -> None:
        """Everything that does not need the lock: the map of spellings, all captured changes, and the comparison."""
        back = self._read(one)
        refuse_newer(self.connection, back.pairs, back.foreign_keys)
        self.patience.until_granted(
            lambda: self._lay_open(one, back), what=f"a past table of set {one.set_no}", command="replank rollback"
        )
        members = [pair.spec for pair in back.pairs]
        build_map(self.connection, members, places(members, back.foreign_keys), set_no=one.set_no)
        for pair in back.pairs:
            self._drain(pair)
            self._verify(pair)

    def _lay_open(self, one: ConversionSet, back: SetBack) -> None:
        """Nothing of the past tables may act on our writes: no foreign key, no trigger, no rule, no forward capture."""
        options = self.run.plan.options
        with self.connection.transaction():
            apply_settings(self.connection, {"lock_timeout": f"{options.lock_timeout_ms}ms"}, local=True)
            for pair in back.pairs:
                capture.remove(self.connection, pair.spec)
                create_was(self.connection, pair)
            for key in catalogue.read_foreign_keys(self.connection, [pair.spec.oid for pair in back.pairs]):
                table = sql.Identifier(key.schema, key.table_name)
                statement = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(table, sql.Identifier(key.name))
                self.connection.execute(statement)
            switched = switch_off(self.connection, back.past_relations)
            if switched:
                known = [*back.switched, *switched]
                tables.set_way_back(self.connection, one, {"switched": known})

    def _drain(self, pair: Pair) -> None:
        """In rounds, while the application writes, until a round finds little."""
        total = 0
        for _ in range(ROUNDS):
            keys = self._one_drain(pair)
            total += keys
            if keys <= SHORT_LOG:
                break
        if total:
            self.say(f"{pair.spec.full_name}: {total:,} logged changes taken back into the past table")

    def _one_drain(self, pair: Pair) -> int:
        try:
            with isolated(self.connection, IsolationLevel.REPEATABLE_READ), self.connection.transaction():
                return drain_equal(self.connection, pair)
        except (errors.DataError, errors.IntegrityError) as error:
            raise why_it_does_not_fit(self.connection, pair, error) from None

    def _verify(self, pair: Pair) -> None:
        differing: list[str] = []
        for _ in range(LOOKS):
            with isolated(self.connection, IsolationLevel.REPEATABLE_READ), self.connection.transaction():
                differing = differing_rows(self.connection, pair)
            if not differing:
                self.say(f"{pair.spec.full_name}: past and new table say the same")
                return
            self._drain(pair)
        raise NeedsPerson(
            f"{pair.spec.full_name}: past and new table differ in rows that nobody is known to have changed: "
            f"{'; '.join(differing)}. Nothing has changed places. Was a partition dropped or attached, or the "
            "past table written to? Make both say the same, then `replank rollback` again."
        )

    def _return(self, one: ConversionSet) -> None:
        """The set's tables change places; tried again while somebody holds the locks."""
        options = self.run.plan.options
        for attempt in range(options.cutover_attempts):
            back = self._read(one)
            try:
                times = self._attempt(one, back)
            except TryAgain as error:
                problem = str(error)
            except PASSING as error:
                problem = f"waiting for others: {error.diag.message_primary}"
            else:
                self._say_returned(one, back, times)
                return
            self._note(one, f"attempt {attempt + 1} missed: {problem}")
            wait = min(0.2 * 1.4**attempt, LONGEST_WAIT_S) * (0.5 + self.random_source.random())
            self.sleep(wait)
        raise NeedsPerson(
            f"set {one.set_no} was tried {options.cutover_attempts} times; {problem}. Nothing has changed places. "
            "End or wait for these sessions, then `replank rollback` again: it goes on."
        )

    def _attempt(self, one: ConversionSet, back: SetBack) -> CutoverTimes:
        options = self.run.plan.options
        past = [_as_past(pair.spec) for pair in back.pairs]
        new = [pair.new for pair in back.pairs]
        before = autovacuum_settings(self.connection, new)
        done = False
        try:
            quiet_autovacuum(self.connection, [*new, *past])
            times = swap_back(
                self.connection,
                back,
                CutoverLimits(
                    lock_timeout_ms=options.lock_timeout_ms,
                    lock_budget_ms=options.cutover_lock_budget_ms,
                    hold_budget_ms=options.cutover_hold_budget_ms,
                    max_log_rows=options.cutover_log_rows,
                ),
                write_ledger=lambda: self._write_ledger(one, len(back.pairs)),
            )
            done = True
        except (errors.DataError, errors.IntegrityError) as error:
            raise self._misfit(back, error) from None
        finally:
            if not done and not self.connection.closed:
                restore_autovacuum(self.connection, new, before)
        return times

    def _misfit(self, back: SetBack, error: errors.DataError | errors.IntegrityError) -> NeedsPerson:
        """Which table it was, the server says of most errors."""
        named = error.diag.table_name
        pair = next((p for p in back.pairs if p.spec.name == named), back.pairs[0])
        return why_it_does_not_fit(self.connection, pair, error)

    def _write_ledger(self, one: ConversionSet, members: int) -> None:
        """In the transaction of the swap back."""
        if not tables.set_returned(self.connection, one):
            raise OutcomeUnknown("this set has gone back before; `replank rollback` again goes on")
        if tables.move_set(self.connection, one, TableState.RETURNED) != members:
            raise OutcomeUnknown("not every table of this set was swapped; read `replank status`")
        # A run that was done is one that rolls back from the first set on.
        runs.set_run_state(self.connection, self.run.run_id, RunState.ROLLING_BACK, "an operator goes back")

    def _say_returned(self, one: ConversionSet, back: SetBack, times: CutoverTimes) -> None:
        tables.set_back_times(self.connection, one, wait_ms=times.wait_ms, hold_ms=times.hold_ms)
        words = (
            f"{len(back.pairs)} past tables are live again; lock waited for {times.wait_ms:.1f} ms, held "
            f"{times.hold_ms:.1f} ms"
        )
        self._note(one, words)

    def _note(self, one: ConversionSet, words: str) -> None:
        subject = f"set {one.set_no}"
        runs.add_event(
            self.connection, self.run.run_id, actor="operator", kind="rollback", subject=subject, message=words
        )
        self.say(f"{subject}: {words}")


def _as_past(spec: TableSpec) -> TableSpec:
    """The past table by the names it has until it goes back."""
    parts = tuple(replace(partition, schema=partition.past_schema) for partition in spec.partitions)
    return replace(spec, schema=spec.past_schema, partitions=parts)
