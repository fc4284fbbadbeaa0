"""Who writes: one client's own name, and its made-up values."""

import itertools
import random
import uuid
from typing import Generic, TypeVar

from demo.clients.adoption import Adoption
from demo.clients.tables import Key
from demo.clients.transaction import Transaction

S = TypeVar("S")


class Actor(Generic[S]):
    """Makes rows for one client. `name` is unlike any other client's, so unique columns never collide; `shared` is what
    belongs to all of them."""

    def __init__(self, *, name: str, adoption: Adoption[S], rng: random.Random) -> None:
        self.name = name
        self.shared = adoption.shared
        self.rng = rng
        self._with_strangers = adoption.with_strangers
        self._serial = itertools.count(1)

    def label(self, prefix: str) -> str:
        """A name that no other client makes."""
        return f"{prefix}-{self.name}-{next(self._serial)}"

    def new_id(self) -> str:
        """A fresh version-4 uuid as text, the way Prisma's client makes them.

        Not from `rng`: a second run with the same seed on the same database must make other ids.
        """
        return str(uuid.uuid4())

    def money(self) -> str:
        """An amount as a numeric column with two decimals prints it."""
        cents = self.rng.randint(1, 99_999)
        return f"{cents // 100}.{cents % 100:02d}"

    def pick_whole(self, tx: Transaction, table: str) -> Key | None:
        """An own row whose children are all known."""
        for _ in range(5):
            key = tx.model.pick(table)
            if key is None or (table, key) not in self._with_strangers:
                return key
        return None
