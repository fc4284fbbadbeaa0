"""The application's own process: starts the clients, does what it is told, writes journal and result."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import psycopg

from demo.application.client import Client, Tally
from demo.application.hiring import Hiring
from demo.application.journal import write_journal
from demo.application.worlds import Crew, find_world

# Errors with different messages that are reported; the rest is only counted.
_MOST_ERRORS = 200

# How long an order to a style of clients may take.
_ORDER_S = 60.0


class Result(TypedDict):
    """What the clients lived through; latencies in milliseconds."""

    errors: list[str]
    retries: int
    unknown: int
    writes: int
    max_latency_ms: float
    p99_latency_ms: float
    by_kind: dict[str, int]
    by_style: dict[str, int]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Writers:
    """A crew at work, and the folder for what it leaves: `journal.json` and `result.json`."""

    world: str
    crew: Crew
    folder: Path
    started: float

    def obey(self, order: str) -> None:
        """`withdraw STYLE`, `deploy STYLE`, `deployed STYLE` (waits for it), `look` (journal and result as of now)."""
        verb, _, style = order.partition(" ")
        match verb:
            case "withdraw":
                self.crew.deployments[style].withdraw()
            case "deploy":
                self.crew.deployments[style].deploy()
            case "deployed":
                self._wait_until_open(style)
            case "look":
                self._look()
            case _:
                raise ValueError(f"no such order: {order}")

    def save(self) -> None:
        """Write journal and result. No client may be in a transaction."""
        write_journal(self.world, self.crew.models, self.crew.beginning).save(self.folder / "journal.json")
        result = _summarise(self.crew.clients, time.monotonic() - self.started)
        (self.folder / "result.json").write_text(json.dumps(result), encoding="utf-8")

    def _look(self) -> None:
        """All clients stand between two transactions and stay there: the asker deploys them again."""
        for deployment in self.crew.deployments.values():
            deployment.withdraw()
        self.save()

    def _wait_until_open(self, style: str) -> None:
        deadline = time.monotonic() + _ORDER_S
        while not self.crew.deployments[style].is_open:
            if time.monotonic() > deadline:
                raise TimeoutError(f"clients of the {style} style were not deployed within {_ORDER_S:.0f} s")
            time.sleep(0.05)


def run_clients(
    url: str,
    *,
    world: str,
    clients: int,
    rate: float,
    seed: int,
    folder: Path,
    stop: threading.Event,
    ready: Callable[[Writers], None],
) -> None:
    """Write at `rate` transactions per second in all until `stop` is set; then save journal and result.

    `ready` is called once the rows are adopted and the clients are about to start.
    """
    hiring = Hiring(url=url, clients=clients, rate=rate, rng=random.Random(seed), stop=stop)
    with psycopg.connect(url) as connection:
        crew = find_world(world).hire(connection, hiring)
    writers = Writers(world=world, crew=crew, folder=folder, started=time.monotonic())
    ready(writers)
    with ThreadPoolExecutor(max_workers=len(crew.clients) + len(crew.deployments)) as pool:
        running = [pool.submit(client.run) for client in crew.clients]
        running += [pool.submit(deployment.watch, url, stop) for deployment in crew.deployments.values()]
        for future in running:
            future.result()
    writers.save()


def _summarise(clients: Sequence[Client[Any]], seconds: float) -> Result:
    tallies: list[Tally] = [client.tally for client in clients]
    by_kind: Counter[str] = Counter()
    by_style: Counter[str] = Counter()
    for client in clients:
        by_style[client.style] += sum(client.tally.by_kind.values())
    errors: Counter[str] = Counter()
    for tally in tallies:
        by_kind.update(tally.by_kind)
        errors.update(tally.errors)
    latencies = sorted(latency for tally in tallies for latency in tally.latencies) or [0.0]
    listed = [f"{text} ×{times}" for text, times in errors.most_common(_MOST_ERRORS)]
    if len(errors) > _MOST_ERRORS:
        listed.append(f"and {len(errors) - _MOST_ERRORS} more kinds of errors")
    return Result(
        errors=listed,
        retries=sum(tally.retries for tally in tallies),
        unknown=sum(tally.unknown for tally in tallies),
        writes=sum(tally.writes for tally in tallies),
        max_latency_ms=round(latencies[-1] * 1000, 3),
        p99_latency_ms=round(latencies[int(len(latencies) * 0.99)] * 1000, 3),
        by_kind=dict(sorted(by_kind.items())),
        by_style=dict(sorted(by_style.items())),
        seconds=round(seconds, 3),
    )
