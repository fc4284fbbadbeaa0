"""What a client remembers of its own rows."""

import random

from support.writers.targets import Values

State = tuple[int, Values] | None  # number of the template and what differs from it; None: absent
OwnRow = tuple[tuple[str, ...], tuple[int, Values]]  # key, present state
RowId = tuple[int, tuple[str, ...]]  # number of the target, key


class Pool:
    """The keys of a client's living rows of one table; adds, drops and picks in constant time."""

    def __init__(self) -> None:
        self._keys: list[tuple[str, ...]] = []
        self._places: dict[tuple[str, ...], int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: tuple[str, ...]) -> None:
        if key not in self._places:
            self._places[key] = len(self._keys)
            self._keys.append(key)

    def discard(self, key: tuple[str, ...]) -> None:
        place = self._places.pop(key, None)
        if place is not None:
            last = self._keys.pop()
            if last != key:
                self._keys[place] = last
                self._places[last] = place

    def pick(self, chance: random.Random, count: int) -> list[tuple[str, ...]]:
        return list(dict.fromkeys(chance.choice(self._keys) for _ in range(count))) if self._keys else []
