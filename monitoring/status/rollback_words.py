"""A rollback in words: how far it is, why it has stopped, who did it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replank.values.states import RunState

if TYPE_CHECKING:
    from monitoring.status.status import Status


def rollback_words(status: Status) -> str:
    """One sentence, or two; empty where no rollback is worth a word."""
    run, rollback = status.run, status.rollback
    if rollback is None:
        return ""
    if run.state is RunState.ROLLED_BACK and rollback.ended_at is not None:
        return (
            f"Run {run.run_id} was {rollback.ended_words}; only its record is left "
            "(`replank rollback --forget` removes that)"
        )
    if run.state is RunState.ROLLING_BACK:
        stopped = "; it has stopped, `replank rollback` continues it" if rollback.problem else ""
        return f"rollback by {rollback.by} since {rollback.began_at:%H:%M} UTC, {rollback.stage_words}{stopped}"
    if rollback.problem and run.state is RunState.DONE:
        return f"a rollback by {rollback.by} was refused, and the run is still done: {rollback.problem}"
    return ""
