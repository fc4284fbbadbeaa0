"""Besides the data migration: rehearsal, gates, clients that wait for the new schema, rollback, report, `finish`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from demo.datasets.data_set import WholePlan
from demo.demonstration.stage import Stage
from replank.wording import counted

BY = "the demonstration"

NO_REHEARSAL = "A rehearsal is the whole plan twice more: `replank demo --rehearse` does it."


def rehearse(stage: Stage) -> None:
    if not stage.options.rehearse:
        stage.narrator.say(f"not rehearsed, and overridden with the reason: {NO_REHEARSAL}")
        return
    with stage.narrator.timed("rehearsal"):
        stage.narrator.say("`replank rehearse` runs the plan and its rollback on a clone")
        stage.product.call("rehearse", "plan.toml", *stage.workers, "--by", BY)


def migrate(stage: Stage, whole: WholePlan) -> None:
    """Phases 1 to 3, and both groups side by side; there and back if that is asked for."""
    if stage.options.managed:
        # A dump has to hold what phases 1 and 2 have made; a base backup, which is of the whole server, need not.
        with stage.narrator.timed("run"):
            stage.product.call("run", "plan.toml", "--until", whole.last_before_data, *stage.workers)
        # What they have made is the owner's alone: clients of the new style ask there.
        stage.urls.open_to_application(*whole.made_schemas)
    _pass_gates(stage, whole)
    with stage.narrator.timed("run"):
        stage.product.call("run", "plan.toml", *stage.workers)
    stage.narrator.say(f"`replank run` is done: phases 1 to 3; clients of the {whole.old_clients} style never stopped")
    _side_by_side(stage, whole)
    if stage.options.there_and_back:
        _there_and_back(stage, whole)
        _side_by_side(stage, whole)


def report(stage: Stage) -> Sequence[Mapping[str, Any]]:
    """Hold the clients for a moment, look for every acknowledged write, and have the report written. Returns the
    success criteria, as `replank report` judges them."""
    narrator, application = stage.narrator, stage.application
    with narrator.timed("report"):
        found = application.look()
        found.write_statements(stage.folder / "journal.json", stage.folder / "errors.json")
        application.go_on()
        narrator.say(
            f"{found.found_again:,} of {found.acknowledged:,} acknowledged facts found again, {len(found.lost)} lost, "
            f"{counted(len(found.errors), 'application error')}"
        )
        out = stage.options.out.absolute()
        out.parent.mkdir(parents=True, exist_ok=True)
        criteria = stage.product.ask(
            *("report", "--out", str(out), "--journal", "journal.json", "--errors", "errors.json")
        )
    narrator.say(f"`replank report` is written: {out}")
    return list(criteria)


def finish(stage: Stage, whole: WholePlan) -> None:
    """Phase 4: the old names have no clients any more; those of the new style continue meanwhile."""
    with stage.narrator.timed("finish"):
        stage.application.order(f"withdraw {whole.old_clients}")
        stage.product.call_quietly("finish", "--yes")
    stage.narrator.say("`replank finish` is done: past tables and old names are gone, the last indexes are in order")
    time.sleep(min(1.0, stage.options.traffic_s))


def _pass_gates(stage: Stage, whole: WholePlan) -> None:
    """What people say holds for one attempt: after a rollback it is asked for again."""

    def gates(*said: str) -> None:
        stage.product.call_quietly("gates", "plan.toml", *said, "--by", BY)

    with stage.narrator.timed("gates"):
        gates("backup", "--out", "backups", "--kind", "dump" if stage.options.managed else "base")
        for gate in whole.attested:
            gates("attest", gate)
        for gate in () if stage.options.rehearse else whole.overridden:
            gates("override", gate, "--reason", NO_REHEARSAL)
    stage.narrator.say("`replank gates` took a full backup, verified it, and knows who stands for the rest")


def _side_by_side(stage: Stage, whole: WholePlan) -> None:
    stage.application.order(f"deployed {whole.new_clients}")
    stage.narrator.say(
        f"clients of the {whole.new_clients} style are deployed: uuids and snake_case, beside the old ones"
    )
    time.sleep(stage.options.traffic_s)


def _there_and_back(stage: Stage, whole: WholePlan) -> None:
    """Roll back with all writes, let the old clients write for a while, and forward again."""
    with stage.narrator.timed("there and back"):
        stage.application.order(f"withdraw {whole.new_clients}")
        stage.product.call_quietly("rollback", "--yes", "--to", whole.last_before_data)
        stage.narrator.say("`replank rollback` brought the text ids back, with every write since")
        time.sleep(stage.options.traffic_s / 2)
        _pass_gates(stage, whole)
        stage.product.call("run", "plan.toml", *stage.workers)
        stage.application.order(f"deploy {whole.new_clients}")
        stage.narrator.say("and forward again")
