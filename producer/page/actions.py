"""What the page's buttons do: the same actions as on the command line, in the name of who is logged in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from monitoring.page.handlers import Action, Question
from producer.operator.correcting import Line, fix_one, give_back
from producer.operator.holding_cutover import hold_cutover, release_cutover
from producer.operator.operator import Operator
from producer.operator.panicking import panic
from producer.operator.pausing import pause, resume, throttle
from producer.operator.pools import Pools
from producer.operator.retrying import Selection, chosen, retry
from producer.operator.run_for_action import open_run
from producer.operator.scaling import scale
from producer.operator.scope import Scope, scope_of
from producer.operator.skipping import skip
from producer.page.consequences import confirm, of_cutover, of_rollback
from producer.page.rollback import PageRollback
from replank.errors import WrongUse
from replank.settings import Settings
from sql.access.roles import connect_to_change
from sql.ledger.runs.runs import Run
from sql.session.connection import Connection

Text = Annotated[str, StringConstraints(max_length=300)]

MakePools = Callable[[], Pools]
"""Remote control of the workers, opened for one action."""

Does = Callable[[Connection, Run, Operator, "Asked", MakePools], str]


class Asked(BaseModel):
    """What a button sends; each action looks at its own fields. Anything else is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    phase: int | None = None
    table: Text | None = None
    reason: Text = ""
    limit: int | None = None
    processes: int = 0
    worker: Text | None = None
    jobs: list[int] = Field(default=[], max_length=1000)
    step: Text | None = None
    cause: Text | None = None
    smaller: bool = False
    key: list[str] = Field(default=[], max_length=32)
    column: Text = ""
    value: str = ""
    database: Text = ""

    def scope(self, connection: Connection, run: Run) -> Scope:
        return scope_of(connection, run, phase=self.phase, table=self.table)

    def selection(self) -> Selection:
        return Selection(job_ids=tuple(self.jobs), table=self.table, step=self.step, cause=self.cause)


def _skip(connection: Connection, run: Run, by: Operator, asked: Asked, _: MakePools) -> str:
    which = asked.selection()
    if which.is_everything:
        raise WrongUse("Select jobs: the page does not retry all failed jobs.")
    found = chosen(connection, run, which)
    return skip(connection, run, [job.job_id for job in found], asked.reason, by=by)


def _scale(connection: Connection, run: Run, by: Operator, asked: Asked, make_pools: MakePools) -> str:
    with make_pools() as pools:
        return scale(connection, run, pools, asked.processes, by=by, worker=asked.worker)


def _fix(connection: Connection, run: Run, by: Operator, asked: Asked, _: MakePools) -> str:
    line = Line(table=asked.table or "", key=tuple(asked.key), column=asked.column, value=asked.value)
    return fix_one(connection, run, line, by=by, source="the page")


def _release(connection: Connection, run: Run, by: Operator, asked: Asked, _: MakePools) -> str:
    confirm(connection, asked.database)
    return release_cutover(connection, run, by=by)


ACTIONS: Mapping[str, Does] = {
    "pause": lambda c, run, by, asked, _: pause(c, run, asked.scope(c, run), by=by, reason=asked.reason),
    "resume": lambda c, run, by, asked, _: resume(c, run, asked.scope(c, run), by=by),
    "throttle": lambda c, run, by, asked, _: throttle(
        c, run, asked.scope(c, run), asked.limit, by=by, reason=asked.reason
    ),
    "panic": lambda c, run, by, asked, _: panic(c, run, by=by, reason=asked.reason),
    "hold": lambda c, run, by, asked, _: hold_cutover(c, run, by=by, reason=asked.reason),
    "release": _release,
    "retry": lambda c, run, by, asked, _: retry(c, run, asked.selection(), by=by, smaller=asked.smaller),
    "skip": _skip,
    "scale": _scale,
    "fix": _fix,
    "return": lambda c, run, by, asked, _: give_back(c, run, asked.scope(c, run), by=by),
}


def page_actions(settings: Settings, *, database: str) -> Mapping[str, Action]:
    """Every action of the page by its word. Each opens sessions of its own and ends them."""

    def make_pools() -> Pools:
        return Pools(settings, database=database)

    url = settings.database()
    rolling_back = PageRollback(url)
    return {name: partial(_act, url, make_pools, name, does) for name, does in ACTIONS.items()} | {
        "rollback": partial(_roll_back, rolling_back)
    }


QUESTIONS: Mapping[str, Question] = {
    "release": lambda connection: of_cutover(connection).to_json(),
    "rollback": lambda connection: of_rollback(connection).to_json(),
}
"""What hangs on an action, by its word: shown before it is asked for."""


def _roll_back(rolling_back: PageRollback, who: str, run_id: int, fields: Mapping[str, Any]) -> str:
    """Not on the open run alone: a run that is done goes back too."""
    return rolling_back.begin(run_id, by=Operator(name=who, via="page"), typed=_understood(fields).database)


def _understood(fields: Mapping[str, Any]) -> Asked:
    try:
        return Asked.model_validate(dict(fields))
    except ValidationError as error:
        wrong = ", ".join(str(one["loc"][0]) for one in error.errors() if one["loc"])
        raise WrongUse(f"The page sent an invalid request: {wrong}.") from None


def _act(
    url: str, make_pools: MakePools, name: str, does: Does, who: str, run_id: int, fields: Mapping[str, Any]
) -> str:
    """Raises WrongUse where another run is open than the one the person looked at."""
    asked = _understood(fields)
    with connect_to_change(url, name=f"page {name}", what=f"`{name}` on the page") as connection:
        run = open_run(connection)
        if run.run_id != run_id:
            raise WrongUse(f"Run {run.run_id} is open now; the page showed run {run_id}. Reload the page.")
        return does(connection, run, Operator(name=who, via="page"), asked, make_pools)
