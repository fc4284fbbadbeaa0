"""What both random games share: their moves, their worlds, how many are played, and how a broken protocol is found.

`make test` plays few games, and always the same ones. REPLANK_EXAMPLES, as `make long` sets it, plays so many of each,
other ones each time, and looks for the smallest that fails.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from support.runs.harness import Rebuild, Url
from support.servers.shared import new_database, template

from demo.embedded import EmbeddedPostgres
from producer.stages import chunker
from protocol.games.world import SESSIONS, STARTS, WORKERS, Action, World
from replank.values.states import TableState

LONG = "REPLANK_EXAMPLES" in os.environ
CONTROL_GAMES = 60
"""A broken protocol that so many games do not find would be found by nobody."""

commits = st.lists(st.booleans(), min_size=SESSIONS, max_size=SESSIONS)


@dataclass(frozen=True, kw_only=True)
class Game:
    """What its moves are made of: the weight of each action, and how many keys and numbers there are to pick from."""

    weights: Mapping[str, int]
    keys: int
    numbers: int

    def _whats(self, only: Sequence[str]) -> list[str]:
        return [what for what, weight in self.weights.items() if not only or what in only for _ in range(weight)]

    def moves(self) -> st.SearchStrategy[list[Action]]:
        """All moves of a game, for Hypothesis to choose and to make fewer of."""
        key, number = st.integers(0, self.keys - 1), st.integers(0, self.numbers - 1)
        who = st.integers(0, max(SESSIONS, WORKERS) - 1)
        action = st.builds(Action, what=st.sampled_from(self._whats(())), who=who, x=key, y=key, n=number, m=number)
        return st.lists(action, min_size=20, max_size=60)

    def drawn(self, source: random.Random, only: Sequence[str] = ()) -> list[Action]:
        """All moves of a game, by chance; where actions are named, of these alone."""
        whats = self._whats(only)
        return [
            Action(
                what=source.choice(whats),
                who=source.randrange(max(SESSIONS, WORKERS)),
                x=source.randrange(self.keys),
                y=source.randrange(self.keys),
                n=source.randrange(self.numbers),
                m=source.randrange(self.numbers),
            )
            for _ in range(60)
        ]


def games(few: int) -> settings:
    """So many of them in the short form; a new find belongs to the long form, not to a bystander."""
    return settings(
        max_examples=int(os.environ.get("REPLANK_EXAMPLES", few)),
        deadline=None,
        print_blob=True,
        derandomize=not LONG,
        suppress_health_check=list(HealthCheck),
        # Looking for the smallest failing game takes minutes; without it the printed blob reproduces the first.
        phases=[Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if LONG else [])],
    )


def find(known: int, play: Callable[[random.Random], None], *, found: type[AssertionError] = AssertionError) -> int:
    """The number of a game that fails; `known` is the first that does, or did.

    The long form looks for another one. Fails where none of many fails.
    """
    first = random.SystemRandom().randrange(1_000_000) if LONG else known
    for number in range(first, first + CONTROL_GAMES):
        try:
            play(random.Random(number))
        except found:
            return number
    pytest.fail(f"{CONTROL_GAMES} games from {first} on, and nothing found")


class Worlds:
    """Databases in which a run stands where a game begins: each place is come to once, from the one before it."""

    def __init__(self, postgres: EmbeddedPostgres, name: str, begin: Callable[[Url], Rebuild], kept: ExitStack) -> None:
        self._postgres, self._name, self._begin, self._kept = postgres, name, begin, kept
        self._prepared: dict[TableState, str] = {}

    def _template(self, start: TableState) -> str:
        if start not in self._prepared:
            place = STARTS.index(start)
            before = self._template(STARTS[place - 1]) if place else None

            def fill(url: Url) -> None:
                rebuild = Rebuild.attach(url) if place else self._begin(url)
                with rebuild.closing():
                    rebuild.until(start)

            made = template(self._postgres, f"{self._name}_{start}", fill, copied=before)
            self._prepared[start] = self._kept.enter_context(made)
        return self._prepared[start]

    def play(
        self, start: TableState, make: Callable[[Url], World], moves: Sequence[Action], commit: Sequence[bool]
    ) -> None:
        """All moves, then everybody comes to an end. Fails where the new tables are not what the old ones were."""
        with new_database(self._postgres, self._name, template=self._template(start)) as url:
            world = make(url)
            try:
                for action in moves:
                    world.do(action)
                world.settle(commit)
            finally:
                world.close()


@contextmanager
def worlds(postgres: EmbeddedPostgres, name: str, begin: Callable[[Url], Rebuild]) -> Iterator[Worlds]:
    """Chunks of three blocks each, so that a table of a dozen rows has several, for the copy and for verification."""
    with ExitStack() as kept:
        patch = kept.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(chunker, "chunk_blocks", lambda _blocks, _chunk_mb: 3)
        yield Worlds(postgres, name, begin, kept)
