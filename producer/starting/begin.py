"""`replank run`: the run of a plan, whether it is there already or begins now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from producer.compiling.review import refuse_other_scripts
from producer.compiling.run_scripts import compile_run
from producer.measurement.measure import measure_before
from producer.planning.cache_resolution import refuse_unknown
from producer.planning.resolution import PlanFile
from producer.starting.preflight import prepare_or_refuse, refuse_dangling
from producer.starting.resume import resume, with_readers
from producer.starting.write_run import write_run
from replank.activity import doing
from sql.ledger.runs import runs
from sql.ledger.runs.runs import Run
from sql.ledger.upgrades.ledger import upgrade_ledger
from sql.session.connection import Connection


def begin_or_resume(
    connection: Connection,
    file: PlanFile,
    *,
    hold_cutover: bool,
    before_first_write: Callable[[], None] = lambda: None,
    scripts_in: Path | None = None,
    with_pass_scripts: bool = True,
) -> Run:
    """The open run of this plan, the finished one, or a new one; a new one asks `before_first_write`.

    `scripts_in` is a folder of scripts that a new run must be equal to; without `with_pass_scripts` nothing reads
    those of the pass, and they are not composed. Raises WrongUse if a run of another plan
    is open, or if the scripts are others.
    """
    if upgrade_ledger(connection):
        present = runs.open_run(connection)
        if present is not None:
            return resume(connection, present, file, hold_cutover=hold_cutover, scripts_in=scripts_in)
        done = runs.finished_run_of(connection, file.plan)
        if done is not None:
            return with_readers(connection, done, file.plan)
    doing("reading the catalogue")
    prepared = prepare_or_refuse(connection, file)
    refuse_unknown(connection, prepared.file)
    made = compile_run(connection, prepared, with_pass=with_pass_scripts, is_read=scripts_in is not None)
    if scripts_in is not None:
        refuse_other_scripts(made.all, scripts_in)
    refuse_dangling(connection, prepared)
    doing("connecting to the broker")
    before_first_write()
    measured = measure_before(connection, prepared.said.plan)
    doing("writing the plan into the ledger")
    run_id = write_run(connection, prepared, made, measured, hold_cutover=hold_cutover, reviewed=scripts_in is not None)
    return runs.read_run(connection, run_id)
