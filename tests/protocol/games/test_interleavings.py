"""Random interleavings of everybody who takes part, statement by statement."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.embedded import EmbeddedPostgres
from protocol.games.playing import Game, Worlds, commits, find, games, worlds
from protocol.games.sabotages import SABOTAGES
from protocol.games.world import SESSIONS, SPELLED, STARTS, STATEMENTS, Action, Level, Sabotage, World, Wrong, begin
from protocol.sessions.between import interruptible
from replank.values.states import TableState
from sql.swap import swap_under_lock

pytestmark = [pytest.mark.protocol, pytest.mark.contrib, pytest.mark.timeout(3600)]

FEW = 8

GAME = Game(
    weights={
        **dict.fromkeys(STATEMENTS, 2),
        "update": 6,
        "delete": 4,
        "truncate": 1,
        "commit": 24,
        "rollback": 4,
        "work": 30,
        "finish": 30,
        "die": 3,
        "turn": 45,
        "interrupt": 15,
        "drain": 4,
        "rewrite": 2,
        "retype": 3,
        "restart": 2,
        "snapshot": 3,
        "look": 3,
        "gap": 4,
    },
    keys=len(SPELLED),
    numbers=8,
)

LEVELS: tuple[Level, ...] = ("read committed", "repeatable read", "serializable")


@pytest.fixture(scope="module")
def places(postgres: EmbeddedPostgres) -> Iterator[Worlds]:
    with worlds(postgres, "game", begin) as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(swap_under_lock, "second_session", interruptible)
        yield made


@games(FEW)
@given(start=st.sampled_from(STARTS), level=st.sampled_from(LEVELS), moves=GAME.moves(), commit=commits)
def test_whatever_the_order_nothing_is_lost(
    places: Worlds, start: TableState, level: Level, moves: list[Action], commit: list[bool]
) -> None:
    places.play(start, lambda url: World(url, level=level), moves, commit)


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_the_same_game_finds_a_broken_protocol(
    places: Worlds, monkeypatch: pytest.MonkeyPatch, sabotage: Sabotage
) -> None:
    """The negative control: without one of the things that the protocol stands on, it soon fails."""
    broken = SABOTAGES[sabotage]
    broken.breaks(monkeypatch)

    def play(source: random.Random) -> None:
        start, moves = source.choice(list(broken.starts)), GAME.drawn(source, broken.whats)
        places.play(start, lambda url: World(url, sabotage, "repeatable read"), moves, [True] * SESSIONS)

    find(broken.found_by, play, found=Wrong)
