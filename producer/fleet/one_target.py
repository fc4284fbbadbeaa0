"""One database's part of a fleet, in a process of its own: what `replank run` or `rollback` does, and an answer.

It ends with the process that started it, by the way a run is always stopped: the ledger has what was done.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Literal

import psycopg

from producer.coordinator.run import RunOptions, run_plan
from producer.planning.resolution import read_plan_file
from producer.rollback.rollback import roll_back_through
from replank.errors import ReplankError
from replank.logger import configure_logging
from replank.plan.targets import Target
from replank.settings import load_settings
from replank.values.states import RunState
from sql.access.roles import connect_to_change

Task = Literal["run", "rollback"]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to do on one database. `log` takes what the process says."""

    task: Task
    target: Target
    plan: Path | None
    workers: int
    broker_url: str | None
    log: Path


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How it ended. `words` say why where it is not well."""

    well: bool
    words: str = ""


def carry_out(order: Order, pipe: Pipe) -> None:
    """The process's own function."""
    _write_into(order.log)
    configure_logging()
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    try:
        answer = _run(order) if order.task == "run" else _roll_back(order)
    except (ReplankError, psycopg.Error) as error:
        answer = Answer(well=False, words=str(error).strip())
    pipe.send(answer)


def _run(order: Order) -> Answer:
    assert order.plan is not None
    settings = load_settings(database_url=order.target.url, broker_url=order.target.broker_url or order.broker_url)
    settings.broker()
    run, _ = run_plan(read_plan_file(order.plan), settings, RunOptions(workers=order.workers, quiet=True))
    well = run.state in (RunState.DONE, RunState.FINISHED)
    return Answer(well=well, words="" if well else run.reason or f"the run is {run.state}")


def _roll_back(order: Order) -> Answer:
    roll_back_through(
        lambda: connect_to_change(order.target.url, name="rollback", what="A rollback"),
        say=lambda words: print(words, flush=True),
        keep_record=True,
    )
    return Answer(well=True)


def _write_into(log: Path) -> None:
    """Both outputs: the screen is the fleet's."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _end_with_parent() -> None:
    """A killed fleet cannot stop its runs: they notice by themselves."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
