"""The application's own process: starts the clients, waits for the end, writes journal and result."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict

import psycopg

from demo.application.actor import Actor
from demo.application.adoption import adopt
from demo.application.client import Client, Tally
from demo.application.journal import write_journal
from demo.application.model import Model

# Errors with different messages that are reported; the rest is only counted.
_MOST_ERRORS = 200


class Result(TypedDict):
    """What the process prints when it is done; latencies in milliseconds."""

    errors: list[str]
    retries: int
    unknown: int
    writes: int
    max_latency_ms: float
    p99_latency_ms: float
    by_kind: dict[str, int]
    seconds: float


def run_clients(
    url: str,
    *,
    clients: int,
    rate: float,
    seed: int,
    journal: Path,
    stop: threading.Event,
    ready: Callable[[], None],
) -> Result:
    """Write at `rate` transactions per second in all until `stop` is set; then save the journal.

    `ready` is called once the rows are adopted and the clients are about to start.
    """
    rng = random.Random(seed)
    models = [Model(random.Random(rng.random())) for _ in range(clients)]
    with psycopg.connect(url) as connection:
        adoption = adopt(connection, models, rng)
    # Unlike any earlier run's on the same database, whatever the seed.
    name = f"{time.time_ns():x}"
    crew = [
        Client(
            url=url,
            actor=Actor(name=f"{name}.{number}", shared=adoption.shared, rng=random.Random(rng.random())),
            model=model,
            rate=rate / clients,
            stop=stop,
        )
        for number, model in enumerate(models)
    ]
    started = time.monotonic()
    ready()
    with ThreadPoolExecutor(max_workers=clients) as pool:
        running = [pool.submit(client.run) for client in crew]
        for future in running:
            future.result()
    seconds = time.monotonic() - started
    write_journal(models, adoption).save(journal)
    return _summarise([client.tally for client in crew], seconds)


def _summarise(tallies: Sequence[Tally], seconds: float) -> Result:
    by_kind: Counter[str] = Counter()
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
        seconds=round(seconds, 3),
    )
