"""Waiting for a database that is away: how long, what is said, and that nobody else has a loop for it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from replank.backoff import DATABASE
from replank.errors import CannotConnect, NotAnswering, TryAgain
from sql.session.database_wait import DatabaseWait

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PACKAGES = ("replank", "sql", "monitoring", "producer", "workers", "demo")

AWAY = {"OperationalError", "Error", "CannotConnect", "NoServer", "NotAnswering"}
"""What a database that is away raises."""

OTHER_LOOPS = {
    "sql/session/database_wait.py": "the one",
    "workers/broker/delivery_watch.py": "checks now and then for missed jobs; a ledger that is away says nothing",
    "demo/clients/client.py": "somebody else's application, which knows nothing of Replank",
}


@dataclass
class Clock:
    """Time goes on only where it is waited for, or where the work takes it."""

    now: float = 100.0
    pauses: list[float] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@dataclass
class Work:
    """Fails with one error after the other; None is an answer."""

    errors: Iterator[Exception | None]

    def __call__(self) -> str:
        error = next(self.errors)
        if error is not None:
            raise error
        return "done"


def waiting(clock: Clock, said: list[float], limit_s: float | None = 10.0) -> DatabaseWait:
    return DatabaseWait(
        limit_s=limit_s,
        say=lambda _, left_s: said.append(left_s),
        may_pass=lambda error: isinstance(error, (psycopg.OperationalError, NotAnswering)),
        pause=clock.pause,
        now=lambda: clock.now,
    )


def test_it_waits_longer_and_longer_until_the_database_answers() -> None:
    clock, said = Clock(), list[float]()
    errors = [psycopg.OperationalError("gone"), NotAnswering("starting up"), NotAnswering("starting up"), None]
    assert waiting(clock, said).until_answered(Work(iter(errors))) == "done"
    assert said[0] == 10.0
    assert said == sorted(said, reverse=True)
    for attempt, pause in enumerate(clock.pauses, start=1):
        assert DATABASE.longest_s(attempt) / 2 <= pause <= DATABASE.longest_s(attempt)


def test_at_the_limit_of_one_absence_it_gives_up() -> None:
    clock = Clock()
    wait = waiting(clock, [])
    with pytest.raises(NotAnswering, match="the last"):
        wait.until_answered(
            Work(iter([psycopg.OperationalError("gone")] + [NotAnswering("the last") for _ in range(99)]))
        )
    assert 10.0 <= sum(clock.pauses) <= 10.0 + DATABASE.most_s
    wait = waiting(clock, [], limit_s=0.0)
    wait.at_limit = lambda error: TryAgain(f"not back: {error}")
    with pytest.raises(TryAgain, match="not back: gone"):
        wait.until_answered(Work(iter([psycopg.OperationalError("gone")])))


def test_each_absence_has_all_its_time() -> None:
    clock, lost = Clock(), 0
    wait = waiting(clock, [])

    def work() -> str:
        nonlocal lost
        wait.answered()
        if lost == 50:
            return "done"
        lost += 1
        clock.now += 3_600
        raise psycopg.OperationalError("lost in the middle of it")

    assert wait.until_answered(work) == "done"
    assert max(clock.pauses) <= DATABASE.first_s


def test_what_does_not_pass_is_raised_at_once() -> None:
    clock = Clock()
    with pytest.raises(CannotConnect, match="password"):
        waiting(clock, []).until_answered(Work(iter([CannotConnect("wrong password")])))
    assert clock.pauses == []


def test_without_a_limit_it_ends_when_it_is_stopped() -> None:
    clock, said = Clock(), list[float]()
    wait = waiting(clock, said, limit_s=None)
    wait.stopped = lambda: len(said) == 500
    with pytest.raises(NotAnswering):
        wait.until_answered(Work(iter([NotAnswering("away") for _ in range(501)])))
    assert set(said) == {float("inf")}


def test_nobody_else_has_a_loop_for_it() -> None:
    loops = set()
    for file in (file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for loop in (node for node in ast.walk(tree) if isinstance(node, ast.While)):
            caught = {
                part.attr if isinstance(part, ast.Attribute) else part.id
                for handler in ast.walk(loop)
                if isinstance(handler, ast.ExceptHandler) and handler.type is not None
                for part in ast.walk(handler.type)
                if isinstance(part, ast.Attribute | ast.Name)
            }
            if caught & AWAY:
                loops.add(str(file.relative_to(ROOT)))
    assert loops == set(OTHER_LOOPS)
