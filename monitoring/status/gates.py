"""The gates of a run, and whether tables may be swapped now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from replank.plan.operation.gates_plan import GatesPlan
from replank.plan.operation.windows import next_opening
from replank.plan.plan import Plan
from sql.ledger.runs import gate_records, gates
from sql.ledger.runs.gates import Gate
from sql.session.connection import Connection


@dataclass(frozen=True, kw_only=True)
class CutoverWindow:
    """Whether tables may be swapped now. `reason` says why not; it is empty where they may."""

    reason: str = ""
    opens: datetime | None = None
    closes: datetime | None = None
    left: timedelta | None = None
    """How long an open one stays open."""

    @property
    def name(self) -> str:
        """Which window is waited for: its opening, or empty where no other comes."""
        return "" if self.opens is None else self.opens.isoformat()

    def to_json(self) -> dict[str, Any]:
        moments = {name: at and at.isoformat() for name, at in (("opens", self.opens), ("closes", self.closes))}
        return {"open": not self.reason, "reason": self.reason, **moments}


def read_gates(connection: Connection, plan: Plan) -> list[Gate]:
    """The gates of a plan as they were last checked; none where it asks for none."""
    return [] if plan.gates is None else gates.read_gates(connection, plan.digest())


def cutover_window(
    connection: Connection, plan: Plan, *, at_least: timedelta = timedelta(), now: datetime | None = None
) -> CutoverWindow | None:
    """The window by the server's clock (or `now`), None where the plan has none or the operator overrode them.

    It is as good as closed when it will be within `at_least`.
    """
    if plan.gates is None or not plan.gates.windows:
        return None
    if ("window", "overridden") in gate_records.attestations(connection, plan.digest()):
        return None
    return window_at(plan.gates, gates.server_now(connection) if now is None else now, at_least=at_least)


def window_at(asked: GatesPlan, moment: datetime, *, at_least: timedelta = timedelta()) -> CutoverWindow:
    """The windows of a plan at a moment."""
    opening = next_opening(asked.windows, moment)
    if opening is None:
        return CutoverWindow(reason="no cutover window of the plan ever opens")
    # A window that is shorter than that must not stay closed for ever.
    margin = min(at_least, (opening.closes - opening.opens) / 2)
    if opening.holds(moment) and opening.holds(moment + margin):
        return CutoverWindow(opens=opening.opens, closes=opening.closes, left=opening.closes - moment)
    following = opening if not opening.holds(moment) else next_opening(asked.windows, opening.closes)
    if following is None:
        return CutoverWindow(reason="the cutover window closes, and no other one follows")
    zone = asked.windows[0].time_zone
    opens_at = f"{following.opens.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} {zone}"
    return CutoverWindow(
        reason=f"outside the plan's cutover windows; the next one opens {opens_at}",
        opens=following.opens,
        closes=following.closes,
    )
