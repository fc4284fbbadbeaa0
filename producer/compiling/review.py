"""What was read is what runs: scripts in a folder, in the ledger, and as they would be compiled now, are compared."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from producer.steps.compiled import CompiledStep
from replank.errors import WrongUse
from sql.ledger.runs import scripts
from sql.ledger.runs.runs import Run
from sql.scripts.script_templates import Script
from sql.session.connection import Connection

SHOWN_LINES = 8

AGAIN = (
    "If a file was edited, put the change into the plan. If the database was changed, `replank compile` and review the "
    "scripts again."
)


def refuse_other_scripts(compiled: Iterable[CompiledStep], folder: Path) -> None:
    """What will run must be what was read. Raises WrongUse with the names of files that differ, and where."""
    differ: list[str] = []
    shown: list[str] = []
    for script in (script for each in compiled for script in (each.forward, each.back)):
        path = folder / script.file_name
        try:
            present = path.read_bytes()
        except OSError as error:
            raise WrongUse(f"{path}: the script cannot be read: {error.strerror}") from None
        if present != script.text.encode():
            differ.append(path.name)
            shown = shown or differing_lines(present.decode(errors="replace"), script.text)
    if differ:
        raise WrongUse(
            f"{folder}: {', '.join(differ)} is not what this plan and this database compile to now. {AGAIN}\n"
            f"The first difference, in {differ[0]} (- as reviewed, + as it would be now):\n" + "\n".join(shown)
        )


def differing_lines(read: str, now: str) -> list[str]:
    """The first lines that differ, as `diff` shows them."""
    found = difflib.unified_diff(read.splitlines(), now.splitlines(), lineterm="", n=0)
    return [line[:200] for line in found if not line.startswith(("---", "+++"))][:SHOWN_LINES]


def keep_scripts(connection: Connection, run_id: int, compiled: Iterable[CompiledStep]) -> None:
    """The scripts of the steps that have something to do, in the ledger of a run that will run them."""
    for each in compiled:
        if each.asked:
            scripts.add_script(connection, run_id, each.step, "forward", each.forward)
            scripts.add_script(connection, run_id, each.step, "back", each.back)


def keep_pass(connection: Connection, run_id: int, of_pass: Sequence[CompiledStep], *, reviewed: bool) -> None:
    """The scripts of the pass as they are compiled now, in the ledger. `reviewed` says that they were reviewed."""
    for each in of_pass:
        scripts.keep_pass_script(connection, run_id, each.step, "forward", each.forward, reviewed=reviewed)
        scripts.keep_pass_script(connection, run_id, each.step, "back", each.back, reviewed=reviewed)


def refuse_unread(connection: Connection, run: Run, of_pass: Sequence[CompiledStep]) -> None:
    """Raises WrongUse where the scripts of the pass were read before, and are others by now."""
    kept = scripts.pass_scripts(connection, run.run_id)
    for script in (script for each in of_pass for script in (each.forward, each.back)):
        before = kept.get(script.name)
        if before is None or not before.reviewed or before.script.checksum == script.checksum:
            continue
        shown = "\n".join(differing_lines(before.script.text, script.text))
        raise WrongUse(
            f"{script.name} is not what was reviewed: the catalogue has changed since it was compiled, by the steps of "
            "earlier phases or by another session. `replank compile` again, review it, then `replank retry` and "
            f"`replank run PLAN --scripts DIR`.\nThe first difference (- as reviewed, + as it would be now):\n{shown}"
        )


def stored(connection: Connection, run: Run) -> dict[str, Script]:
    """The scripts of a run by their names, those of the pass too once its tables are planned."""
    found = {planned.script.name: planned.script for planned in scripts.all_scripts(connection, run.run_id)}
    if scripts.has_step(connection, run.run_id, run.plan.steps.carrier):
        found |= {name: kept.script for name, kept in scripts.pass_scripts(connection, run.run_id).items()}
    return found
