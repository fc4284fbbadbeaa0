"""Random interleavings of everybody who takes part, statement by statement.

REPLANK_EXAMPLES raises the number of examples for the long form, which plays other games each time.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.runs.harness import Url

from demo.embedded import EmbeddedPostgres
from producer.stages import chunker
from protocol.games.sabotages import SABOTAGES
from protocol.games.world import (
    SESSIONS,
    SPELLED,
    STARTS,
    STATEMENTS,
    WORKERS,
    Action,
    Level,
    Sabotage,
    World,
    Wrong,
    prepare,
)
from protocol.sessions.between import interruptible
from replank.values.states import TableState
from sql.swap import swap_under_lock

pytestmark = [pytest.mark.protocol, pytest.mark.contrib]

EXAMPLES = int(os.environ.get("REPLANK_EXAMPLES", "25"))
LONG_FORM = [Phase.shrink] if "REPLANK_EXAMPLES" in os.environ else []
"""Looking for the smallest failing example takes minutes; without it the printed blob reproduces the first."""
CONTROL_EXAMPLES = 60

WEIGHTS = {
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
}
WHATS = [what for what, weight in WEIGHTS.items() for _ in range(weight)]

LEVELS: tuple[Level, ...] = ("read committed", "repeatable read", "serializable")

actions = st.builds(
    Action,
    what=st.sampled_from(WHATS),
    who=st.integers(0, max(SESSIONS, WORKERS) - 1),
    x=st.integers(0, len(SPELLED) - 1),
    y=st.integers(0, len(SPELLED) - 1),
    n=st.integers(0, 7),
    m=st.integers(0, 7),
)

_numbers = itertools.count(1)


Worlds = Callable[[TableState], Url]


@pytest.fixture(scope="module", autouse=True)
def small_chunks() -> Iterator[None]:
    """Three blocks each, so that a table of eight rows has several, for the copy and for verification."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunker, "chunk_blocks", lambda _blocks, _chunk_mb: 3)
        patch.setattr(swap_under_lock, "second_session", interruptible)
        yield


@pytest.fixture(scope="module")
def worlds(postgres: EmbeddedPostgres, small_chunks: None) -> Iterator[Worlds]:
    """Makes databases in which a run stands where it is asked to."""
    del small_chunks
    for start in STARTS:
        prepare(postgres.create_database(f"start_{start}"), start)
    yield lambda start: postgres.create_database(f"world_{next(_numbers)}", template=f"start_{start}")
    for start in STARTS:
        postgres.drop_database(f"start_{start}")


def play(
    postgres: EmbeddedPostgres,
    url: Url,
    played: Sequence[Action],
    commit: Sequence[bool],
    sabotage: Sabotage = "",
    level: Level = "read committed",
) -> None:
    """All actions, then everybody comes to an end. Fails where the new tables are not what the old ones were."""
    world = World(url, sabotage, level)
    try:
        for action in played:
            world.do(action)
        world.settle(commit)
    finally:
        world.close()
        postgres.drop_database(url.rsplit("/", 1)[1])


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    # The short form plays the same games everywhere: a new find belongs to the long form, not to a bystander.
    derandomize="REPLANK_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, *LONG_FORM],
)
@pytest.mark.timeout(3600)
@given(
    start=st.sampled_from(STARTS),
    level=st.sampled_from(LEVELS),
    played=st.lists(actions, min_size=20, max_size=60),
    commit=st.lists(st.booleans(), min_size=SESSIONS, max_size=SESSIONS),
)
def test_whatever_the_order_nothing_is_lost(
    postgres: EmbeddedPostgres,
    worlds: Worlds,
    start: TableState,
    level: Level,
    played: list[Action],
    commit: list[bool],
) -> None:
    play(postgres, worlds(start), played, commit, level=level)


def _random_play(source: random.Random, whats: Sequence[str]) -> list[Action]:
    return [
        Action(
            what=source.choice(whats),
            who=source.randrange(max(SESSIONS, WORKERS)),
            x=source.randrange(len(SPELLED)),
            y=source.randrange(len(SPELLED)),
            n=source.randrange(8),
            m=source.randrange(8),
        )
        for _ in range(60)
    ]


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_the_same_game_finds_a_broken_protocol(
    postgres: EmbeddedPostgres, worlds: Worlds, monkeypatch: pytest.MonkeyPatch, sabotage: Sabotage
) -> None:
    """The negative control: without one of the things that the protocol stands on, it soon fails."""
    broken = SABOTAGES[sabotage]
    broken.breaks(monkeypatch)
    starts, whats = list(broken.starts), list(broken.whats) or WHATS
    source = random.Random(20240331)
    for _ in range(CONTROL_EXAMPLES):
        start, played = source.choice(starts), _random_play(source, whats)
        try:
            play(postgres, worlds(start), played, [True] * SESSIONS, sabotage, "repeatable read")
        except Wrong:
            return
    pytest.fail(f"{CONTROL_EXAMPLES} games and nothing found")
