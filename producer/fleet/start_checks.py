"""Whether a plan's run could begin on databases that wait for it: what `run` itself would refuse, asked beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg

from monitoring.fleet.fleet import LOOKING_AT_ONCE, WAITING, FleetStatus, TargetStatus
from producer.planning.resolution import PlanFile
from producer.starting.preflight import prepare_or_refuse
from replank.errors import ReplankError
from replank.plan.targets import Target
from sql.session.connection import connect


def with_refusals(
    status: FleetStatus, targets: Sequence[Target], file: PlanFile, *, is_done: Callable[[TargetStatus], bool]
) -> FleetStatus:
    """The status, with `refused` and the reason for every database without an open run on which none could begin."""
    by_name = {target.name: target for target in targets}

    def of_one(one: TargetStatus) -> TargetStatus:
        if is_done(one) or one.refused("").state == one.state:
            return one
        words = _why_refused(by_name[one.name], file)
        # Of a run of another plan that is over, it matters that this plan's has not begun.
        return one.refused(words) if words else replace(one, state=WAITING)

    with ThreadPoolExecutor(max_workers=LOOKING_AT_ONCE, thread_name_prefix="fleet-plan") as pool:
        return replace(status, targets=tuple(pool.map(of_one, status.targets)))


def _why_refused(target: Target, file: PlanFile) -> str:
    """Empty where the run may begin. Nothing is changed: what is built on trial is rolled back."""
    try:
        with connect(target.url, name="fleet check") as connection:
            prepare_or_refuse(connection, file)
    except (ReplankError, psycopg.Error) as error:
        return str(error).strip()
    return ""
