"""What workers tell Celery's monitors, kept by the class that Flower keeps it with."""

import ast
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import Celery
from celery.events.receiver import EventReceiver
from celery.events.state import State
from support.runs.processes import Site
from support.runs.waiting import wait_for

from faults.sending import settings_of
from replank.values.messages import celery_settings
from sql.session.connection import connect
from sql.session.database_identity import database_identity


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """The deliveries that were heard of, as a monitor shows them."""

    state: State

    def deliveries(self, job_id: int | None = None) -> list[Any]:
        """Celery's tasks, of one job or of all, in the order in which they were received."""
        found = [task for _, task in self.state.itertasks() if task.kwargs]
        if job_id is not None:
            found = [task for task in found if ast.literal_eval(task.kwargs)["job"] == job_id]
        return sorted(found, key=lambda task: task.received or 0)

    def states(self, job_id: int | None = None) -> list[str]:
        return [task.state for task in self.deliveries(job_id)]

    def wait_for(self, state: str, job_id: int | None = None) -> Any:
        """The first delivery in this state, with its fields."""
        return wait_for(
            f"a delivery in state {state}",
            lambda: next((task for task in self.deliveries(job_id) if task.state == state), None),
            explain=lambda: str([(task.kwargs, task.state, task.result) for task in self.deliveries()]),
        )

    def everything(self) -> str:
        """Every field of every delivery that was heard of."""
        return "\n".join(str(vars(task)) for task in self.deliveries())


class _Receiver(EventReceiver):  # type: ignore[misc]
    ready: threading.Event

    def on_consume_ready(self, *arguments: Any, **named: Any) -> None:
        super().on_consume_ready(*arguments, **named)
        self.ready.set()


@contextmanager
def monitoring(site: Site) -> Iterator[Monitor]:
    """Listen to the site's workers. What was told before is not heard."""
    with connect(site.database_url, name="test") as connection:
        identity = database_identity(connection)
    state, listening = State(), threading.Event()
    with Celery("test-monitor", set_as_current=False) as app:
        app.conf.update(celery_settings(settings_of(site), database=identity))
        receiver = _Receiver(app.connection(), handlers={"*": state.event}, app=app)
        receiver.ready = listening
        thread = threading.Thread(target=lambda: receiver.capture(timeout=None, wakeup=False), name="monitor")
        thread.start()
        assert listening.wait(10)
        try:
            yield Monitor(state=state)
        finally:
            receiver.should_stop = True
            thread.join(10)
