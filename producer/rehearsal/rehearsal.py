"""The rehearsal, in order: clone, its state, forward, verification, back, the same state, and forward again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from producer.gates.rehearsed import present_scripts
from producer.measurement.measure import plan_schemas
from producer.planning.resolution import PlanFile, refuse_other_database
from producer.rehearsal.clone_plan import can_roll_back, clone_plan, rebuilt_caches
from producer.rehearsal.cloning import Clone, cloned
from producer.rehearsal.database_state import DatabaseState, differences, read_database_state
from producer.rehearsal.runs_on_clone import BEFORE_DATA, END, Forward, finish, go_back, go_forward
from producer.starting.preflight import refuse_stores
from replank.activity import doing
from replank.errors import NeedsOperator, WrongUse
from replank.plan.plan import Plan
from replank.settings import Settings, load_settings
from replank.values.states import TableState
from replank.values.steps import Step
from replank.wording import counted, verb
from sql.catalogue.definition_hashes import read_definitions
from sql.ledger.runs import gate_records, gates, runs, scripts
from sql.ledger.runs.gate_records import Word
from sql.ledger.tables import tables
from sql.ledger.upgrades.ledger import ensure_ledger
from sql.session.connection import Connection, connect

SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class RehearsalOptions:
    """How to rehearse. `server` is the URL of any database of the server that the clone is made on."""

    server: str
    by: str
    again: bool = False
    keep: bool = False


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """One rehearsal. What was found by now stands in `evidence`, so that one that fails is told of too."""

    file: PlanFile
    settings: Settings
    options: RehearsalOptions
    forward: Forward
    say: Callable[[str], None]
    evidence: dict[str, Any] = field(default_factory=dict)

    def rehearse(self) -> Word:
        """All of it; good or bad, it is written to the ledger of the real database.

        Raises WrongUse where it cannot begin: then nothing is written.
        """
        self.evidence.update(
            {"plan": self.file.plan.name, "plan_digest": self.file.plan.digest(), "scripts": self._begin()}
        )
        started = time.monotonic()
        problem = ""
        try:
            doing("creating the clone")
            with cloned(self.settings.database(), self.options.server, keep=self.options.keep) as clone:
                self._on(clone)
        except NeedsOperator as error:
            problem = str(error)
        self.evidence.update({"passed": not problem, "seconds": round(time.monotonic() - started, 1)})
        return self._write_down(problem or self._summary())

    def _begin(self) -> dict[str, str]:
        """The checksums of the scripts that are rehearsed. What the tables are now is noted as evidence."""
        self.settings.broker()
        doing("compiling the scripts to rehearse")
        with connect(self.settings.database(), name="rehearsal") as connection:
            refuse_other_database(connection, self.file)
            gates.refuse_standby(connection)
            # A clone's tables are heaps of its own server, whatever the real ones are: it would pass.
            refuse_stores(connection, self.file)
            ensure_ledger(connection)
            refuse_begun(connection)
            self.evidence["definitions"] = read_definitions(connection, plan_schemas(self.file.plan))
            return present_scripts(connection, self.file.plan)

    def _on(self, clone: Clone) -> None:
        self.say(f"the clone {clone.database} was created in {clone.seconds:.0f} s")
        plan, left_out = clone_plan(self.file.plan, clone.database)
        if not (plan.tables or plan.caches or plan.steps.asked):
            raise NeedsOperator(
                "nothing in this plan can be rehearsed: it has only Redis caches, which are outside the database"
            )
        of_clone = {"bytes": clone.bytes, "seconds": round(clone.seconds, 1), "same_server": clone.same_server}
        self.evidence.update({"clone": of_clone, "postgresql": clone.major, "left_out": left_out})
        file = PlanFile(plan=plan, source=self.file.source, text=self.file.text)
        settings = load_settings(database_url=clone.url, broker_url=self.settings.broker())
        doing("recording the clone's catalogue and rows before the run")
        before = read_database_state(clone.url, clone.major)
        if plan.tables:
            self._go_forward(file, settings, END)
        elif plan.steps.asked:
            # Without tables a run that is done has nothing to go back from.
            self._go_forward(file, settings, BEFORE_DATA)
        if can_roll_back(plan):
            self._go_back(plan, settings, clone, before)
        if self.options.again or not plan.tables:
            self._go_forward(file, settings, END)
        if self.options.again:
            doing("finishing on the clone")
            self.evidence["finish"] = finish(settings)
            self.say("finished")

    def _go_forward(self, file: PlanFile, settings: Settings, until: Step) -> None:
        doing("running the plan on the clone")
        done = go_forward(self.forward, file, settings, until)
        differ = sorted(
            name for name, checksum in done.scripts.items() if self.evidence["scripts"].get(name) != checksum
        )
        if differ:
            raise NeedsOperator(
                f"the scripts compiled on the clone differ from those of the database: {', '.join(differ)}"
            )
        if until is END:
            # The first of two is the one that is predicted from: nothing was in memory yet.
            self.evidence.setdefault("figures", done.figures)
            self.evidence.setdefault("compared", done.compared)
        self.say(f"forward; {counted(done.rows, 'row')} of past tables {verb(done.rows, 'is')} equal to the new ones")

    def _go_back(self, plan: Plan, settings: Settings, clone: Clone, before: DatabaseState) -> None:
        doing("rolling the clone back")
        self.evidence["back"] = go_back(settings, plan)
        doing("comparing the clone with its state before the run")
        told = differences(before, read_database_state(clone.url, clone.major), rebuilt=rebuilt_caches(plan))
        if told:
            self.evidence["differences"] = told
            raise NeedsOperator(
                f"after the rollback the clone differs from its state before the run: {'; '.join(told[:SHOWN])}"
            )
        self.evidence["same"] = {"tables": len(before.contents.tables), "rows": before.contents.rows}
        self.say(f"rolled back; the catalogue and {counted(before.contents.rows, 'row')} are the same as before")

    def _summary(self) -> str:
        figures = self.evidence.get("figures", {})
        words = [
            f"forward in {figures.get('seconds') or 0:.0f} s, {counted(figures.get('wal_bytes') or 0, 'byte')} of WAL"
        ]
        if figures.get("lock_hold_ms") is not None:
            words.append(f"lock held {figures['lock_hold_ms']:.0f} ms")
        if "same" in self.evidence:
            words.append(f"rolled back in {self.evidence['back']['seconds']:.0f} s, then the same as before")
        else:
            words.append("this plan has no rollback")
        return ", ".join(words)

    def _write_down(self, words: str) -> Word:
        with connect(self.settings.database(), name="rehearsal") as connection:
            ensure_ledger(connection)
            return gate_records.add_record(
                connection,
                self.file.plan.digest(),
                "rehearsed",
                "rehearsed",
                by=self.options.by,
                words=words,
                evidence=self.evidence,
            )


def refuse_begun(connection: Connection) -> None:
    """A clone is made of a database as it was before the run. Raises WrongUse where it is no more."""
    run = runs.open_run(connection)
    done = runs.done_runs(connection)
    if run is not None:
        begun = any(s.blocks_done or s.finished for s in scripts.forward_scripts(connection, run.run_id))
        begun |= any(t.state is not TableState.PLANNED for t in tables.read_tables(connection, run.run_id))
        if begun:
            raise WrongUse(
                f"Run {run.run_id} has already changed this database, so a clone would differ from the database "
                "before the run. Rehearse before the run, or use `replank rollback` first."
            )
    elif done:
        raise WrongUse(
            f"Run {done[0].run_id} is done and not finished: its triggers write to the ledger, which is not cloned. "
            "Use `replank finish` or `replank rollback` first."
        )
