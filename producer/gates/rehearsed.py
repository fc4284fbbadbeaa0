"""Two gates that only a rehearsal opens: the plan was rehearsed, and so were the rollback scripts that would run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from producer.compiling.compile_steps import compile_steps
from producer.gates.ages import in_words
from producer.measurement.measure import plan_schemas
from replank.errors import WrongUse
from replank.plan.operation.gates_plan import RehearsalGatePlan, age_of
from replank.plan.plan import Plan
from replank.wording import counted
from sql.catalogue.definition_hashes import changed_definitions, read_definitions
from sql.ledger.runs import gate_records, measurements, runs, scripts
from sql.ledger.runs.gates import Gate
from sql.session.connection import Connection

REMEDY = "`replank rehearse PLAN`"

SHOWN = 5
NOT_REHEARSED = (6, 11)
"""The schema file is the real one, which a rehearsal leaves alone; step 11 ends the rollback that is rehearsed."""


def check_rehearsal(connection: Connection, plan: Plan, asked: RehearsalGatePlan) -> Gate:
    """The newest rehearsal of exactly this plan has to be a good one, and not too old."""
    word = gate_records.newest_record(connection, "rehearsed", plan_digest=plan.digest())
    if word is None:
        other = gate_records.newest_record(connection, "rehearsed", plan_digest=None)
        also = "" if other is None else "; the last rehearsal was of a different version of the plan"
        return _open("rehearsed", f"this plan was not rehearsed{also}")
    if not word.evidence["passed"]:
        return _open("rehearsed", f"the last rehearsal failed: {word.words}", word.evidence)
    if word.age > age_of(asked.max_age):
        return _open(
            "rehearsed",
            f"rehearsed {counted(word.age.days, 'day')} ago; the plan allows {asked.max_age}",
            word.evidence,
        )
    changed = changed_definitions(word.evidence["definitions"], _begun_with(connection, plan))
    if changed:
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        words = (
            f"since the rehearsal {', '.join(changed[:SHOWN])}{more}, so the rehearsed tables are not those of the run"
        )
        return _open("rehearsed", words, {**word.evidence, "changed": changed})
    reason = f"{in_words(word.age)} ago: {word.words}"
    return Gate(name="rehearsed", state="passed", by=word.by, at=word.at, reason=reason, evidence=word.evidence)


def _begun_with(connection: Connection, plan: Plan) -> Mapping[str, str]:
    """The tables that the open run began with; those of now where it has not begun. Its own scripts change them."""
    run = runs.open_run(connection)
    if run is not None and run.plan_digest == plan.digest():
        before = measurements.read_measurements(connection, run.run_id).get("before")
        if before is not None:
            return before.definitions
    return read_definitions(connection, plan_schemas(plan))


def check_rollback_scripts(connection: Connection, plan: Plan) -> Gate:
    """The rollbacks that would run are those that ran in the rehearsal, and came back to the beginning there."""
    word = gate_records.newest_record(connection, "rehearsed", plan_digest=plan.digest())
    if word is None or not word.evidence["passed"]:
        return _open("rollback_scripts", "the rollback was not rehearsed with this plan")
    if "same" not in word.evidence:
        return _open("rollback_scripts", "this plan has no rollback after the cutover, so none was rehearsed")
    try:
        present = present_scripts(connection, plan)
    except WrongUse as error:
        return _open("rollback_scripts", f"the scripts cannot be compiled: {error}")
    differ = sorted(name for name, checksum in present.items() if word.evidence["scripts"].get(name) != checksum)
    if differ:
        return _open(
            "rollback_scripts", f"different from the rehearsed scripts: {', '.join(differ)}", {"differ": differ}
        )
    words = f"{counted(len(present) // 2, 'rollback script')} and the data's rollback, as rehearsed"
    return Gate(
        name="rollback_scripts", state="passed", by=word.by, at=word.at, reason=words, evidence={"scripts": present}
    )


def _open(name: str, reason: str, evidence: Mapping[str, Any] | None = None) -> Gate:
    return Gate(name=name, state="open", reason=reason, remedy=REMEDY, evidence=evidence or {})


def scripts_of_run(connection: Connection, run_id: int) -> dict[str, str]:
    """Checksums by name of a run's scripts, without those that are not rehearsed."""
    kept = (each for each in scripts.all_scripts(connection, run_id) if each.step.number not in NOT_REHEARSED)
    return {each.script.name: each.script.checksum for each in kept}


def present_scripts(connection: Connection, plan: Plan) -> dict[str, str]:
    """Checksums by name of the scripts that the open run has, or that a new one would get. Raises WrongUse."""
    run = runs.open_run(connection)
    if run is not None and run.plan_digest == plan.digest():
        return scripts_of_run(connection, run.run_id)
    asked = [each for each in compile_steps(connection, plan.model_copy(update={"prisma": None})) if each.asked]
    return {script.name: script.checksum for each in asked for script in (each.forward, each.back)}
