"""Random interleavings in which rows go into quarantine and come back, judged by one recursive query.

REPLANK_EXAMPLES raises the number of examples for the long form, which plays other games each time.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator, Sequence

import pytest
from psycopg.sql import SQL
from support.runs.harness import Url

from demo.embedded import EmbeddedPostgres
from producer.stages import chunker
from protocol.games.quarantine_world import NAMES, STATEMENTS, QuarantineWorld, prepare
from protocol.games.world import SESSIONS, STARTS, WORKERS, Action
from replank.values.states import TableState
from replank.values.table_spec import TableSpec
from sql.ledger.tables import quarantines
from sql.quarantine import resolve
from sql.quarantine.resolve import _Settlement
from sql.session.connection import Connection

pytestmark = pytest.mark.protocol

EXAMPLES = int(os.environ.get("REPLANK_EXAMPLES", "8"))
LONG_FORM = "REPLANK_EXAMPLES" in os.environ
CONTROL_EXAMPLES = 60

WEIGHTS = {
    **dict.fromkeys(STATEMENTS, 4),
    "truncate": 1,
    "truncate all": 1,
    "commit": 24,
    "rollback": 4,
    "work": 30,
    "finish": 30,
    "die": 2,
    "turn": 45,
    "drain": 6,
    "restart": 2,
}
WHATS = [what for what, weight in WEIGHTS.items() for _ in range(weight)]

_numbers = itertools.count(1)

Join = Callable[[Connection, TableSpec], bool]
Worlds = Callable[[TableState], Url]


@pytest.fixture(scope="module", autouse=True)
def small_chunks() -> Iterator[None]:
    """Three blocks each, so that a table of a dozen rows has several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunker, "chunk_blocks", lambda _blocks, _chunk_mb: 3)
        yield


@pytest.fixture(scope="module")
def worlds(postgres: EmbeddedPostgres, small_chunks: None) -> Iterator[Worlds]:
    """Makes databases in which a run stands where it is asked to."""
    del small_chunks
    for start in STARTS:
        prepare(postgres.create_database(f"aside_{start}"), start)
    yield lambda start: postgres.create_database(f"aside_world_{next(_numbers)}", template=f"aside_{start}")
    for start in STARTS:
        postgres.drop_database(f"aside_{start}")


def play(postgres: EmbeddedPostgres, url: Url, played: Sequence[Action], commit: Sequence[bool]) -> None:
    world = QuarantineWorld(url)
    try:
        for action in played:
            world.do(action)
        world.settle(commit)
    finally:
        world.close()
        postgres.drop_database(url.rsplit("/", 1)[1])


def _random_play(source: random.Random) -> list[Action]:
    return [
        Action(
            what=source.choice(WHATS),
            who=source.randrange(max(SESSIONS, WORKERS)),
            x=source.randrange(len(NAMES)),
            y=source.randrange(len(NAMES)),
            n=source.randrange(12),
            m=source.randrange(12),
        )
        for _ in range(source.randint(20, 80))
    ]


def _seeds() -> list[int]:
    """The short form plays the same games everywhere; a failing one is named by its seed."""
    if LONG_FORM:
        first = int(os.environ.get("REPLANK_SEED", random.SystemRandom().randrange(1_000_000)))
        return list(range(first, first + EXAMPLES))
    return list(range(EXAMPLES))


@pytest.mark.timeout(3600)
def test_whatever_the_order_quarantine_is_what_it_should_be(postgres: EmbeddedPostgres, worlds: Worlds) -> None:
    for seed in _seeds():
        source = random.Random(seed)
        try:
            start, played = source.choice(STARTS), _random_play(source)
            play(postgres, worlds(start), played, [source.random() < 0.7 for _ in range(SESSIONS)])
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def _join_in_silence(connection: Connection, spec: TableSpec, join: Join = quarantines.join) -> bool:
    join(connection, spec)
    return False


SABOTAGE: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "nobody is doubted": lambda patch: patch.setattr(_Settlement, "doubt", lambda _self: None),
    "a newcomer is not looked through": lambda patch: patch.setattr(quarantines, "join", _join_in_silence),
    "what waits for a row is not doubted": lambda patch: patch.setattr(
        resolve, "_kept_for", lambda edge: resolve._all_rows(edge.child) + SQL(" AND false")
    ),
}


FOUND_SOON = {"what waits for a row is not doubted": 48}
"""Where the game that finds it comes late, the seed is one that begins with such a game."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("what", sorted(SABOTAGE))
def test_the_same_game_finds_a_broken_protocol(
    postgres: EmbeddedPostgres, worlds: Worlds, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    SABOTAGE[what](monkeypatch)
    source = random.Random(FOUND_SOON.get(what, 20240331))
    for _ in range(CONTROL_EXAMPLES):
        try:
            play(postgres, worlds(source.choice(STARTS)), _random_play(source), [True] * SESSIONS)
        except AssertionError:
            return
    pytest.fail(f"{CONTROL_EXAMPLES} games and nothing found")
