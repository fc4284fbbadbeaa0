"""Drives a plan through many databases: begins what may begin, and takes the answers of what has ended."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import structlog

from monitoring.fleet.fleet import FleetStatus, TargetStatus, read_fleet, read_target
from producer.fleet.one_target import Answer, Order, Task, carry_out
from producer.fleet.order import Limits, next_targets, why_stopped
from replank.plan.targets import Target

log = structlog.get_logger()

TURN_S = 0.2
LOOK_S = 1.0
"""How often the ledgers of what runs are read."""

STOP_S = 30.0
"""What a stopped run has to end its jobs, before it is killed: its ledger has what was done."""

Show = Callable[[FleetStatus], None]
"""Is told how all stand."""


@dataclass(kw_only=True)
class _Running:
    process: ForkServerProcess
    pipe: Pipe


@dataclass(kw_only=True)
class Fleet:
    """One task on many databases. All that it knows it has asked their ledgers; killed, it asks them again."""

    targets: Sequence[Target]
    task: Task
    plan: Path | None
    limits: Limits
    workers: int
    broker_url: str | None
    logs: Path
    show: Show
    is_done: Callable[[TargetStatus], bool]
    """Whether the task is done on a target, by its ledger: then it is not touched."""
    _running: dict[str, _Running] = field(default_factory=dict)
    _failed: dict[str, str] = field(default_factory=dict)
    _status: dict[str, TargetStatus] = field(default_factory=dict)

    def run_all(self) -> FleetStatus:
        """Until nothing runs and nothing may begin. A person's interruption stops all runs in good order."""
        self._status = {one.name: one for one in read_fleet(self.targets).targets}
        # One process imports everything once; each target's is forked from it.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["producer.fleet.one_target"])
        looked_at = time.monotonic()
        try:
            while True:
                self._take_answers()
                begin = next_targets(
                    self.targets,
                    done={name for name, one in self._status.items() if self.is_done(one)},
                    failed=self._failed,
                    running=self._running,
                    limits=self.limits,
                )
                for target in begin:
                    self._begin(context, target)
                if not self._running:
                    return self._report()
                if time.monotonic() - looked_at >= LOOK_S:
                    looked_at = time.monotonic()
                    self._refresh()
                    self._report()
                time.sleep(TURN_S)
        finally:
            self._stop()

    def _begin(self, context: multiprocessing.context.ForkServerContext, target: Target) -> None:
        ours, theirs = context.Pipe(duplex=False)
        order = Order(
            task=self.task,
            target=target,
            plan=self.plan,
            workers=self.workers,
            broker_url=self.broker_url,
            log=self.logs / f"{_file_name(target.name)}.log",
        )
        process = context.Process(target=carry_out, args=(order, theirs), name=f"fleet {target.name}")
        process.start()
        theirs.close()
        self._running[target.name] = _Running(process=process, pipe=ours)
        log.info("begins", target=target.name, task=self.task)

    def _take_answers(self) -> None:
        for target in [t for t in self.targets if t.name in self._running]:
            one = self._running[target.name]
            if one.process.is_alive():
                continue
            del self._running[target.name]
            answer = _answer(one)
            status = read_target(target)
            if not answer.well:
                self._failed[target.name] = answer.words
                status = status.refused(answer.words)
            self._status[target.name] = status
            log.info("ended", target=target.name, state=status.state, problem=status.problem)

    def _refresh(self) -> None:
        for one in read_fleet([t for t in self.targets if t.name in self._running]).targets:
            self._status[one.name] = one

    def _report(self) -> FleetStatus:
        stopped = why_stopped(self.targets, failed=self._failed, limits=self.limits)
        status = FleetStatus(targets=tuple(self._status[target.name] for target in self.targets), stopped=stopped)
        self.show(status)
        return status

    def _stop(self) -> None:
        for one in self._running.values():
            one.process.terminate()
        deadline = time.monotonic() + STOP_S
        for one in self._running.values():
            one.process.join(max(deadline - time.monotonic(), 0.1))
            if one.process.is_alive():
                one.process.kill()
                one.process.join()
        self._running.clear()

    @property
    def failed(self) -> dict[str, str]:
        """Name → why, of what did not end well in this process."""
        return dict(self._failed)


def _answer(one: _Running) -> Answer:
    try:
        found = one.pipe.recv() if one.pipe.poll() else None
    except EOFError:
        found = None
    one.pipe.close()
    if isinstance(found, Answer):
        return found
    return Answer(
        well=False, words=f"its process ended with exit code {one.process.exitcode} and no result; see its log"
    )


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name) or "_"
