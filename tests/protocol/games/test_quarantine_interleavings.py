"""Random interleavings in which rows go into quarantine and come back, judged by one recursive query."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.sql import SQL

from demo.embedded import EmbeddedPostgres
from protocol.games.playing import Game, Worlds, commits, find, games, worlds
from protocol.games.quarantine_world import NAMES, STATEMENTS, QuarantineWorld, begin
from protocol.games.world import SESSIONS, STARTS, Action
from replank.values.states import TableState
from replank.values.table_spec import TableSpec
from sql.ledger.tables import quarantines
from sql.quarantine import resolve
from sql.quarantine.resolve import _Resolution
from sql.session.connection import Connection

pytestmark = [pytest.mark.protocol, pytest.mark.timeout(3600)]

FEW = 5

GAME = Game(
    weights={
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
    },
    keys=len(NAMES),
    numbers=12,
)

Join = Callable[[Connection, TableSpec], bool]


@pytest.fixture(scope="module")
def places(postgres: EmbeddedPostgres) -> Iterator[Worlds]:
    with worlds(postgres, "aside", begin) as made:
        yield made


@games(FEW)
@given(start=st.sampled_from(STARTS), moves=GAME.moves(), commit=commits)
def test_whatever_the_order_quarantine_is_what_it_should_be(
    places: Worlds, start: TableState, moves: list[Action], commit: list[bool]
) -> None:
    places.play(start, QuarantineWorld, moves, commit)


def _join_in_silence(connection: Connection, spec: TableSpec, join: Join = quarantines.join) -> bool:
    join(connection, spec)
    return False


SABOTAGE: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "nobody is doubted": lambda patch: patch.setattr(_Resolution, "doubt", lambda _self: None),
    "a newcomer is not looked through": lambda patch: patch.setattr(quarantines, "join", _join_in_silence),
    "what waits for a row is not doubted": lambda patch: patch.setattr(
        resolve, "_kept_for", lambda edge: resolve._all_rows(edge.child) + SQL(" AND false")
    ),
}
FOUND_BY = {"nobody is doubted": 0, "a newcomer is not looked through": 3, "what waits for a row is not doubted": 19}
"""The game that finds it."""


@pytest.mark.parametrize("what", sorted(SABOTAGE))
def test_the_same_game_finds_a_broken_protocol(places: Worlds, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    SABOTAGE[what](monkeypatch)

    def play(source: random.Random) -> None:
        places.play(source.choice(STARTS), QuarantineWorld, GAME.drawn(source), [True] * SESSIONS)

    find(FOUND_BY[what], play)
