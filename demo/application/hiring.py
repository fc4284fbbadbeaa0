"""How many clients, how fast."""

import random
import threading
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Hiring:
    """So many clients, all together `rate` transactions a second, until `stop` is set."""

    url: str
    clients: int
    rate: float
    rng: random.Random
    stop: threading.Event
