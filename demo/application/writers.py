"""The application's own process: starts the clients, does what it is told, writes journal and result."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from demo.application.clients_result import ClientsResult
from demo.application.journal import write_journal
from demo.clients.client import Client, Tally
from demo.clients.crew import Crew, Hiring, hire
from demo.clients.workload import Workload

# Errors with different messages that are reported; the rest is only counted.
_MOST_ERRORS = 200

# How long an order to a group of clients may take.
_ORDER_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Writers:
    """A crew at work, and the folder for what it leaves: `journal.json` and `result.json`."""

    data_set: str
    crew: Crew
    folder: Path
    started: float

    def obey(self, order: str) -> None:
        """`withdraw GROUP`, `deploy GROUP`, `deploy` (all), `deployed GROUP` (waits for it), `look` (saves results)."""
        verb, _, group = order.partition(" ")
        match verb:
            case "withdraw":
                self.crew.deployments[group].withdraw()
            case "deploy":
                for name in [group] if group else self.crew.deployments:
                    self.crew.deployments[name].deploy()
            case "deployed":
                self._wait_until_open(group)
            case "look":
                self._look()
            case _:
                raise ValueError(f"no such order: {order}")

    def save(self) -> None:
        """Write journal and result. No client may be in a transaction."""
        write_journal(self.data_set, self.crew.models, self.crew.beginning).save(self.folder / "journal.json")
        result = _summarise(self.crew.clients, time.monotonic() - self.started)
        (self.folder / "result.json").write_text(json.dumps(asdict(result)), encoding="utf-8")

    def _look(self) -> None:
        """All clients stand between two transactions and stay there: the asker deploys them again."""
        for deployment in self.crew.deployments.values():
            deployment.withdraw()
        self.save()

    def _wait_until_open(self, group: str) -> None:
        deadline = time.monotonic() + _ORDER_S
        while not self.crew.deployments[group].is_open:
            if time.monotonic() > deadline:
                raise TimeoutError(f"clients of the {group} style were not deployed within {_ORDER_S:.0f} s")
            time.sleep(0.05)


def run_clients(workload: Workload[Any], hiring: Hiring, *, folder: Path, ready: Callable[[Writers], None]) -> None:
    """Write until told to stop; then save journal and result.

    `ready` is called once the rows are adopted and the clients are about to start.
    """
    crew = hire(workload, hiring)
    writers = Writers(data_set=workload.name, crew=crew, folder=folder, started=time.monotonic())
    ready(writers)
    with ThreadPoolExecutor(max_workers=len(crew.clients) + len(crew.deployments)) as pool:
        running = [pool.submit(client.run) for client in crew.clients]
        running += [pool.submit(deployment.watch, hiring.url, hiring.stop) for deployment in crew.deployments.values()]
        for future in running:
            future.result()
    writers.save()


def _summarise(clients: Sequence[Client[Any]], seconds: float) -> ClientsResult:
    tallies: list[Tally] = [client.tally for client in clients]
    by_kind: Counter[str] = Counter()
    by_style: Counter[str] = Counter()
    for client in clients:
        by_style[client.group] += sum(client.tally.by_kind.values())
    errors: Counter[str] = Counter()
    for tally in tallies:
        by_kind.update(tally.by_kind)
        errors.update(tally.errors)
    latencies = sorted(latency for tally in tallies for latency in tally.latencies) or [0.0]
    listed = [f"{text} ×{times}" for text, times in errors.most_common(_MOST_ERRORS)]
    if len(errors) > _MOST_ERRORS:
        listed.append(f"and {len(errors) - _MOST_ERRORS} more kinds of errors")
    return ClientsResult(
        errors=listed,
        failed=errors.total(),
        retries=sum(tally.retries for tally in tallies),
        unknown=sum(tally.unknown for tally in tallies),
        writes=sum(tally.writes for tally in tallies),
        max_latency_ms=round(latencies[-1] * 1000, 3),
        p99_latency_ms=round(latencies[int(len(latencies) * 0.99)] * 1000, 3),
        by_kind=dict(sorted(by_kind.items())),
        by_style=dict(sorted(by_style.items())),
        ended_at={client.name: client.tally.ended_at for client in clients},
        seconds=round(seconds, 3),
    )
