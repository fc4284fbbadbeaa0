"""Deleting keys: all that match, no other, no faster than asked, and only as long as the job is ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fakeredis
import pytest
import redis

from replank.addresses.cache_address import CacheAddress
from replank.errors import LeaseLost, NeedsOperator, TryAgain
from workers.kinds.redis_keys import delete_keys

pytestmark = pytest.mark.unit

ADDRESS = CacheAddress(url="redis://:secret@host:6379/0", shown="redis://host:6379 (APP_CACHE_URL)")


@dataclass
class Clock:
    """Time that passes only in sleep."""

    at: float = 100.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What answers at every address."""
    fake = fakeredis.FakeServer()
    monkeypatch.setattr(redis.Redis, "from_url", lambda *_args, **_named: fakeredis.FakeRedis(server=fake))
    return fakeredis.FakeRedis(server=fake)


def delete(clock: Clock, *, rate: int, still_ours: Callable[[], None] = lambda: None) -> int:
    return delete_keys(ADDRESS, "perm:*", rate=rate, still_ours=still_ours, now=clock.now, sleep=clock.sleep)


def test_matching_keys_go_and_others_stay(server: Any) -> None:
    for number in range(2_500):
        server.set(f"perm:{number}".encode() + b"\xff", "x")
        server.set(f"other:perm:{number}", "x")
    assert delete(Clock(), rate=1_000_000) == 2_500
    assert server.dbsize() == 2_500
    # Once more there is nothing to do
    assert delete(Clock(), rate=1_000_000) == 0


def test_no_second_sees_more_keys_than_the_rate(server: Any) -> None:
    for number in range(1_000):
        server.set(f"perm:{number}", "x")
    clock = Clock()
    gone: list[tuple[float, int]] = []

    def look() -> None:
        gone.append((clock.now(), 1_000 - server.dbsize()))

    assert delete(clock, rate=100, still_ours=look) == 1_000
    assert clock.now() - 100.0 == pytest.approx(9.9)
    for at, before in gone:
        within = [count for when, count in gone if at <= when < at + 0.999]
        assert max(within) - before <= 100
    # What was scanned without finding anything does not save up for a burst
    assert max(clock.slept) == pytest.approx(0.1)


def test_a_job_that_was_overtaken_stops(server: Any) -> None:
    for number in range(100):
        server.set(f"perm:{number}", "x")
    calls: list[int] = []

    def still_ours() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise LeaseLost("overtaken")

    with pytest.raises(LeaseLost):
        delete(Clock(), rate=100, still_ours=still_ours)
    assert server.dbsize() == 80


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (redis.exceptions.ConnectionError("Error 111 connecting to host:6379. Connection refused."), TryAgain),
        (redis.exceptions.TimeoutError("Timeout reading from socket"), TryAgain),
        (redis.exceptions.BusyLoadingError("loading"), TryAgain),
        (redis.exceptions.AuthenticationError("invalid password"), NeedsOperator),
        (redis.exceptions.NoPermissionError("no permission for unlink"), NeedsOperator),
        (redis.exceptions.ReadOnlyError("a replica"), NeedsOperator),
    ],
)
def test_errors_are_told_with_the_address_and_without_its_password(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[Exception]
) -> None:
    def scan(*_args: object, **_named: object) -> object:
        raise raised

    monkeypatch.setattr(redis.Redis, "scan", scan)
    with pytest.raises(expected, match=r"redis://host:6379 \(APP_CACHE_URL\)") as caught:
        delete(Clock(), rate=1)
    assert "secret" not in str(caught.value)
