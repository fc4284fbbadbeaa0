"""A run before it begins, as others see it: under way, or left by a process that died."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from monitoring.status.preparation_record import read_died
from replank.wording import seconds
from sql.ledger.runs.preparation import PreparingSession
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection
from sql.session.database_identity import database_identity


@dataclass(frozen=True, kw_only=True)
class Preparing:
    """What is being done before a run, or was when its process died. `since` is None where it may not be seen."""

    alive: bool
    pid: int
    """The server's process where it is alive, the command's own where it died."""
    doing: str
    since: datetime | None
    role: str = ""
    plan: str = ""

    @property
    def words(self) -> str:
        """For people, with what to do next."""
        since = "" if self.since is None else f" since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        if self.alive:
            age = "" if self.since is None else f" ({seconds((datetime.now(UTC) - self.since).total_seconds())})"
            return (
                f"A run is being prepared{since}{age}: {self.doing} (server process {self.pid}, role {self.role}). "
                "Nothing has been changed yet."
            )
        return (
            f"Process {self.pid}, which prepared a run of plan {self.plan}{since}, died before the run began, while "
            f"{self.doing}. Nothing was changed: `replank run PLAN` starts again."
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "alive": self.alive,
            "pid": self.pid,
            "doing": self.doing,
            "since": None if self.since is None else self.since.isoformat(),
            "role": self.role,
            "plan": self.plan,
        }


def before_run(connection: Connection, run: Run | None, found: PreparingSession | None) -> Preparing | None:
    """The next run as far as it is prepared. None where none is prepared, nor died so.

    `run` is the newest there is; `found` was looked for before that.
    """
    if found is not None:
        return Preparing(alive=True, pid=found.pid, doing=found.doing, since=found.since, role=found.role)
    died = read_died(database_identity(connection))
    if died is None or (run is not None and run.created_at > died.since):
        return None
    return Preparing(alive=False, pid=died.pid, doing=died.doing, since=died.since, plan=died.plan)
