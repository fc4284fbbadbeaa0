"""A run driven step by step in one process, without a queue: the test decides what happens when.

The product's own coordinator turn, stages and executor are used as they are; only the clock is
pushed on (`pass_time`), so that nothing is waited for that a test does not ask about.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg
from pydantic import SecretStr

from monitoring.status.status import DATA_STEP
from producer.coordinator.coordinator import Coordinator
from producer.coordinator.facts import read_facts
from producer.dispatch.dispatcher import Dispatcher
from producer.operator.operator import Operator
from producer.operator.retrying import Selection, retry
from producer.planning.resolution import PlanFile
from producer.stages.shared_snapshots import SnapshotKeeper
from producer.stages.table_stages import Stages
from producer.starting.begin import begin_or_resume
from replank.plan.plan import DatabasePlan, OptionsPlan, Plan
from replank.plan.tables.table_plan import TablePlan
from replank.settings import Settings
from replank.values.states import JobKind, RunState, TableState
from replank.values.table_spec import TableSpec
from sql.access.roles import act_as_owner
from sql.ledger.jobs import job_queue, job_reports
from sql.ledger.jobs.job_reports import FailedJob
from sql.ledger.runs import runs
from sql.ledger.runs.runs import Run
from sql.ledger.tables import conversion_sets, tables
from sql.ledger.tables.conversion_sets import ConversionSet
from sql.ledger.tables.tables import RunTable
from sql.session.connection import Connection, connect
from workers.execution.executor import Executor
from workers.execution.outcome import Outcome

STEP, _ = DATA_STEP

Url = str
MOST_TURNS = 400
DEADLINE_S = 30.0


AxisName = Literal["auto", "primary_key", "heap"]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the plan and the columns that become uuid. `more` is what else the plan says of it."""

    name: str
    columns: Sequence[str]
    schema: str = "public"
    axis: AxisName = "auto"
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def planned(self) -> TablePlan:
        columns = [{"name": column, "to": "uuid"} for column in self.columns]
        said = {"schema": self.schema, "name": self.name, "axis": self.axis, "columns": columns}
        return TablePlan.model_validate({**said, **self.more})


def table(name: str, *columns: str, schema: str = "public", axis: AxisName = "auto", **more: Any) -> Table:
    """`table("orders", "id", "customer_id", add=[{"name": "note", "type": "text"}])`"""
    return Table(name=name, columns=columns, schema=schema, axis=axis, more=more)


def eventually(true: Callable[[], bool], what: str, *, deadline_s: float = DEADLINE_S) -> None:
    """Ask until it is so. Fails, saying what did not come, after the deadline."""
    end = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < end, f"in {deadline_s} s it did not come: {what}"
        time.sleep(0.005)


class NoQueue(Dispatcher):
    """A turn sends nothing: the test executes the jobs by itself."""

    def __init__(self) -> None:
        """Nothing to connect to."""


@dataclass(kw_only=True)
class Rebuild:
    """One run on one database."""

    settings: Settings
    run_id: int
    connection: Connection
    snapshots: SnapshotKeeper
    coordinator: Coordinator
    worker: Executor
    opened: list[Connection] = field(default_factory=list)

    @classmethod
    def begin(cls, url: Url, planned: Sequence[Table], options: Mapping[str, Any], **sections: Any) -> Rebuild:
        """Write the run into the ledger; nothing has been built yet. The cutover waits for `cut_over`.

        `sections`: what else the plan says.
        """
        connection = connect(url, name="coordinator")
        plan = Plan(
            database=DatabasePlan(name=connection.info.dbname),
            options=OptionsPlan(**options),
            tables=tuple(one.planned for one in planned),
            **sections,
        )
        try:
            act_as_owner(connection, [(one.schema, one.name) for one in planned])
            file = PlanFile(plan=plan, source="plan.toml", text="")
            begin_or_resume(connection, file, hold_cutover=True, with_pass_scripts=False)
        except BaseException:
            connection.close()
            raise
        return cls.attach(url, connection)

    @classmethod
    def attach(cls, url: Url, connection: Connection | None = None) -> Rebuild:
        """Go on with the run that is open in this database, in the session that has begun it where that is given."""
        connection = connection or connect(url, name="coordinator")
        run = runs.open_run(connection)
        assert run is not None
        settings = Settings(database_url=SecretStr(url))
        made = cls(
            settings=settings,
            run_id=run.run_id,
            connection=connection,
            snapshots=SnapshotKeeper(url),
            coordinator=_coordinator(connection, settings, run.run_id),
            worker=Executor(connection=connection, worker="", settings=settings, random_source=random.Random(1)),
        )
        made.worker = made.new_worker("worker 1")
        return made

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Close it at the end of the block, whatever happens in it."""
        try:
            yield
        finally:
            self.close()

    def close(self) -> None:
        """End every session of this run's."""
        self.snapshots.close()
        for connection in [self.connection, *self.opened]:
            connection.close()

    def new_worker(self, name: str) -> Executor:
        """A worker with a session of its own."""
        connection = connect(self.settings.database(), name=name)
        self.opened.append(connection)
        return Executor(connection=connection, worker=name, settings=self.settings, random_source=random.Random(1))

    def restart_coordinator(self) -> None:
        """As after kill -9: its session and its snapshots are gone, all it knows is in the ledger."""
        self.snapshots.close()
        self.connection.close()
        self.connection = connect(self.settings.database(), name="coordinator")
        self.coordinator = _coordinator(self.connection, self.settings, self.run_id)

    # What the ledger says.

    @property
    def run(self) -> Run:
        return runs.read_run(self.connection, self.run_id)

    def run_as(self, connection: Connection) -> Run:
        """The run, read in another session."""
        return runs.read_run(connection, self.run_id)

    @property
    def tables(self) -> list[RunTable]:
        return tables.read_tables(self.connection, self.run_id)

    @property
    def sets(self) -> list[ConversionSet]:
        return conversion_sets.read_sets(self.connection, self.run_id)

    def table(self, name: str) -> RunTable:
        return next(one for one in self.tables if one.spec.name == name)

    def spec(self, name: str) -> TableSpec:
        return self.table(name).spec

    def jobs(self, kind: str | None = None, state: str = "waiting") -> list[int]:
        """The ids of a table's jobs in one state, oldest first."""
        found = self.connection.execute(
            "SELECT job_id FROM replank.job WHERE run_id = %s AND state = %s AND kind = coalesce(%s, kind) ORDER BY 1",
            [self.run_id, state, kind],
        )
        return [job_id for (job_id,) in found]

    def failures(self) -> list[FailedJob]:
        return job_reports.read_failures(self.connection, self.run_id)

    def log_length(self, name: str) -> int:
        """Rows in a table's change log."""
        found = self.connection.execute(
            psycopg.sql.SQL("SELECT count(*) FROM {}").format(
                psycopg.sql.Identifier("replank", self.spec(name).log_name)
            )
        ).fetchone()
        assert found is not None
        return int(found[0])

    # What a test lets happen.

    def turn(self) -> bool:
        """One turn of the coordinator, sweep included. True if anything moved."""
        facts = read_facts(self.connection, self.run_id)
        if facts.run.state is not RunState.RUNNING:
            return False
        self.coordinator._last_sweep = 0.0
        return self.coordinator.turn(facts, self.snapshots)

    def take_script(self) -> bool:
        """What a turn of the coordinator does first: a script before the data migration. False if there is none."""
        return self.coordinator._take_script(read_facts(self.connection, self.run_id))

    def execute(self, job_id: int, worker: Executor | None = None) -> Outcome:
        return (worker or self.worker).execute(run_id=self.run_id, job_id=job_id)

    def work(self, kind: str | None = None) -> int:
        """Execute every waiting job that is due, oldest first. Returns how many."""
        waiting = self.jobs(kind)
        for job_id in waiting:
            self.execute(job_id)
        return len(waiting)

    def pass_time(self) -> None:
        """Whatever waits for a later moment is due now."""
        later = (("run_table", "true"), ("conversion_set", "true"), ("cache", "true"), ("job", "state = 'waiting'"))
        # One round trip; in autocommit, all of them are one transaction.
        self.connection.execute(
            psycopg.sql.SQL("; ").join(
                psycopg.sql.SQL("UPDATE replank.{} SET not_before = clock_timestamp() WHERE run_id = {} AND {}").format(
                    psycopg.sql.Identifier(name), self.run_id, psycopg.sql.SQL(which)
                )
                for name, which in later
            )
        )

    def advance(self, name: str) -> bool:
        """One step of one table, if its barrier is open."""
        return self._advance(self.table(name))

    def _advance(self, present: RunTable) -> bool:
        stages = Stages(
            connection=self.connection,
            step=STEP,
            options=self.run.plan.options,
            snapshots=self.snapshots,
            random_source=random.Random(1),
            present=self.tables,
            sets=self.sets,
        )
        return stages.advance(present, job_reports.unfinished(self.connection, self.run_id).get(present.table_no))

    def until(self, state: TableState) -> None:
        """Let every table come to `state` and no further, whichever of their jobs that takes."""
        for _ in range(MOST_TURNS):
            late = [one for one in self.tables if one.state is not state]
            if not late:
                return
            self.refuse_stuck()
            if not any([self._advance(one) for one in late]):
                self.pass_time()
                self.work()
        raise AssertionError(f"{state} is not reached: {[(one.spec.name, one.state) for one in self.tables]}")

    def until_any(self, state: TableState) -> None:
        """Turn and work until any table is in `state`, or the run has stopped."""
        for _ in range(MOST_TURNS):
            if self.run.state is not RunState.RUNNING or any(one.state is state for one in self.tables):
                return
            if not self.turn():
                self.pass_time()
                self.work()
        raise AssertionError(f"{state} is not reached: {[(one.spec.name, one.state) for one in self.tables]}")

    def wait_for_end_of(self, application: str) -> None:
        """Until no session of this database has that name."""
        asked = "SELECT FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
        eventually(lambda: self.connection.execute(asked, [application]).fetchone() is None, f"{application} has ended")

    def settle_until(self, state: TableState, look: Callable[[], None]) -> None:
        """Job by job to `state`; `look` is called after each and after each turn."""
        for _ in range(MOST_TURNS):
            if all(one.state is state for one in self.tables) and not self.jobs():
                return
            self.refuse_stuck()
            self.turn()
            look()
            self.pass_time()
            for job_id in self.jobs():
                self.execute(job_id)
                look()
        raise AssertionError(f"{state} is not reached: {[(one.spec.name, one.state) for one in self.tables]}")

    def ready(self) -> None:
        """Verified and drained: the cutover may come, and does not yet."""
        self.until(TableState.READY)
        self.work("drain")
        self.refuse_stuck()

    def why(self) -> str:
        """Everything that an operator is told about what needs a person."""
        return self.run.reason + "".join(str(failure.message) for failure in self.failures())

    def refuse_stuck(self) -> None:
        """Fails with the reasons if a person is needed."""
        blocked = [one.problem for one in self.tables if one.blocked] + [s.problem for s in self.sets if s.blocked]
        assert not blocked, blocked
        assert not self.failures(), self.failures()

    def settle(self) -> Run:
        """Work and turn until the run is done or needs a person."""
        runs.set_hold(self.connection, self.run_id, hold_cutover=False)
        for _ in range(MOST_TURNS):
            run = self.run
            if run.state is not RunState.RUNNING:
                return run
            if not self.turn():
                self.pass_time()
                self.work()
        raise AssertionError(f"the run does not settle: {[(t.spec.name, t.state, t.problem) for t in self.tables]}")

    def try_for_a_while(self) -> RunState:
        """Turn and work for as long as a run usually needs, whatever comes of it."""
        runs.set_hold(self.connection, self.run_id, hold_cutover=False)
        for _ in range(30):
            if not self.turn():
                self.pass_time()
                self.work()
        return self.run.state

    def try_to_swap(self) -> bool:
        """One attempt at the cutover of every set that is ready. True if all are swapped."""
        runs.set_hold(self.connection, self.run_id, hold_cutover=False)
        self.pass_time()
        before = [one.attempts for one in self.sets]
        for _ in range(MOST_TURNS):
            self.turn()
            self.work("drain")
            present = self.sets
            if all(one.swapped_at is not None for one in present):
                return True
            if [one.attempts for one in present] != before:
                return False
            self.refuse_stuck()
        raise AssertionError("no attempt was made")

    def swap(self) -> None:
        """Cut every set over, and do nothing of what comes after."""
        runs.set_hold(self.connection, self.run_id, hold_cutover=False)
        for _ in range(MOST_TURNS):
            if all(one.swapped_at is not None for one in self.sets):
                return
            self.refuse_stuck()
            if not self.turn():
                self.pass_time()
                self.work("drain")
        raise AssertionError(f"no swap: {[one.problem for one in self.sets]}")

    def finish(self) -> None:
        """To the end, which must be a good one."""
        run = self.settle()
        assert run.state is RunState.DONE, self.why()

    def retry(self) -> None:
        """What `replank retry` does."""
        retry(self.connection, self.run, Selection(), by=Operator(name="tester", via="command line"))


def add_drain(rebuild: Rebuild, name: str) -> list[int]:
    """A drain job, as the coordinator gives one to a table that waits. Returns the waiting drain jobs."""
    present = rebuild.table(name)
    job_queue.add_jobs(
        rebuild.connection,
        present.spec,
        JobKind.DRAIN,
        step=STEP,
        generation=present.generation,
        details=[{"compare": True}],
    )
    return rebuild.jobs("drain")


def _coordinator(connection: Connection, settings: Settings, run_id: int) -> Coordinator:
    return Coordinator(
        connection=connection,
        settings=settings,
        run_id=run_id,
        dispatcher=NoQueue(),
        random_source=random.Random(1),
    )
