"""One sentence for a run that nothing is wrong with, or that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitoring.status.headlines.activity import doing, evidence
from monitoring.status.headlines.headline import Headline
from monitoring.status.rollback_words import rollback_words
from replank.values.states import RunState
from replank.wording import counted

if TYPE_CHECKING:
    from monitoring.status.status import Status


def running_or_over(status: Status) -> Headline:
    """The one sentence."""
    run = status.run
    rollback_text = rollback_words(status)
    by = f" by {status.rollback.by}" if rollback_text and status.rollback is not None else ""
    if run.state is RunState.ROLLING_BACK:
        stage = f", {status.rollback.stage_words}" if status.rollback is not None else ""
        return Headline(
            weight="look", kind="rolling_back", words=f"Rolling back{stage}", why=rollback_text or run.reason
        )
    if run.state is RunState.ROLLED_BACK:
        return Headline(weight="good", kind="rolled_back", words=f"Rolled back{by}", why=rollback_text or run.reason)
    if run.state is RunState.DONE and rollback_text:
        return Headline(weight="look", kind="rollback_refused", words=f"A rollback was refused{by}", why=rollback_text)
    if run.state is RunState.DONE:
        return Headline(
            weight="good",
            kind="done",
            words="Done: the new tables are live",
            why=f"The past tables are retained until `replank finish`. {_quarantined_text(status)}".strip(),
        )
    if run.state is RunState.FINISHED:
        return Headline(
            weight="good", kind="finished", words="Finished: the past tables are dropped", why=_quarantined_text(status)
        )
    return Headline(weight="good", kind="running", words=f"Running: {doing(status)}", why=evidence(status))


def _quarantined_text(status: Status) -> str:
    """What the new tables do not have."""
    rows = sum(table.rows_quarantined for table in status.tables)
    if not rows:
        return ""
    return f"{counted(rows, 'row', 'is')} quarantined: the new tables do not have them."
