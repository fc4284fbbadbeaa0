"""`[gates]` of a plan: what must be so before the data migration begins, and when a cutover may take place.

The section as a whole is the checklist. What it does not mention is asked for all the same; what shall not be asked
for stands in `not_asked`, where a reviewer sees it.
"""

from __future__ import annotations

from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from replank.plan.text.plan_words import Strict

Age = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,4} (minute|hour|day|week)s?$")]
"""How old something may be, e.g. `24 hours`."""

Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]

Looked = Literal["backup", "rehearsed", "rollback_scripts", "monitoring", "window"]
"""Gates that are measured. All others are attested by a person or a webhook."""

LOOKED: tuple[Looked, ...] = ("backup", "rehearsed", "rollback_scripts", "monitoring", "window")

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def age_of(words: Age) -> timedelta:
    """`24 hours` as a duration."""
    count, unit = words.split()
    return timedelta(**{f"{unit.rstrip('s')}s": int(count)})


class BackupGatePlan(Strict):
    """A full backup. `path` is a base backup, a dump, or a folder of them of which the newest counts.

    Without a path the newest one counts that `replank gates PLAN backup` has made. A verification holds for
    `verified_for`, as long as size and time of every file are the same; the age is checked each time.
    """

    max_age: Age = "24 hours"
    path: Path | None = None
    verified_for: Age = "6 hours"


class RehearsalGatePlan(Strict):
    """`replank rehearse` of this plan."""

    max_age: Age = "14 days"


class MonitoringGatePlan(Strict):
    """`metrics_url` answers with Prometheus' text, `rules` is a file of alert rules that loads."""

    metrics_url: Url | None = None
    metrics: tuple[str, ...] = ()
    """Names that the answer must have."""
    rules: Path | None = None


class AttestationPlan(Strict):
    """What a person says, or a webhook by an answer of 2xx. It is asked for again when it is older than `max_age`."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    says: str = ""
    webhook: Url | None = None
    max_age: Age = "7 days"

    @field_validator("name")
    @classmethod
    def _not_looked_at(cls, name: str) -> str:
        if name in LOOKED:
            raise ValueError(f"{name} is measured and cannot be attested; list it in not_asked if it is not needed")
        return name


class WindowPlan(Strict):
    """When tables may change places: from `start` on each of `days` until `end`, which may lie on the next day."""

    days: tuple[Day, ...] = Field(min_length=1)
    start: time
    end: time
    time_zone: str = "UTC"

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{name} is not a time zone; write it as Europe/Berlin or UTC") from None
        return name

    @field_validator("start", "end")
    @classmethod
    def _in_the_zone(cls, moment: time) -> time:
        if moment.tzinfo is not None:
            raise ValueError("write the time of day without a zone; the zone is time_zone")
        return moment


class GatesPlan(Strict):
    """The checklist before the data migration."""

    backup: BackupGatePlan = Field(default_factory=BackupGatePlan)
    rehearsal: RehearsalGatePlan = Field(default_factory=RehearsalGatePlan)
    monitoring: MonitoringGatePlan = Field(default_factory=MonitoringGatePlan)
    attestations: tuple[AttestationPlan, ...] = (
        AttestationPlan(name="deployment_ready", says="The application's deployment is ready."),
        AttestationPlan(name="team_notified", says="The team knows when it will happen."),
    )
    windows: tuple[WindowPlan, ...] = ()
    not_asked: tuple[Looked, ...] = ()
    webhook_secret_env: str = "REPLANK_WEBHOOK_SECRET"
    """The environment variable with the secret (`whsec_…`, as Standard Webhooks says) that signs what webhooks
    are sent; never the secret itself."""

    @model_validator(mode="after")
    def _no_name_twice(self) -> GatesPlan:
        names = [each.name for each in self.attestations]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"attestation listed twice: {', '.join(sorted(twice))}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every gate that is asked for, in the order in which they are shown."""
        looked = tuple(name for name in LOOKED if name not in self.not_asked)
        return (*looked, *(each.name for each in self.attestations))

    def seen_from(self, folder: Path) -> GatesPlan:
        """The same with absolute paths: in the file they start from the file's own folder."""
        backup, rules = self.backup.path, self.monitoring.rules
        changes = {
            "backup": self.backup.model_copy(update={"path": backup and (folder / backup).absolute()}),
            "monitoring": self.monitoring.model_copy(update={"rules": rules and (folder / rules).absolute()}),
        }
        return self.model_copy(update=changes)
