"""The child process of the clients: `python -m …serving`. Settings come on the first line of standard input."""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import psycopg

from support.writers.client import Client
from support.writers.journal import JournaledRow
from support.writers.session import SESSION_OPTIONS
from support.writers.targets import Target, read_targets


def _serve() -> None:
    """The child process: settings come on the first line of standard input, its end means stop.

    Standard output carries one JSON object per line: ``ready``, then the number of acknowledged writes ten
    times a second. The journal goes to the file that the settings name.
    """
    settings = json.loads(sys.stdin.readline())
    tables = settings["tables"] and [(schema, name) for schema, name in settings["tables"]]
    with psycopg.connect(settings["url"], options=SESSION_OPTIONS) as connection:
        targets = read_targets(connection, tables)
    stop = threading.Event()
    start_s = time.monotonic()
    count = settings["clients"]
    clients = [
        Client(
            url=settings["url"],
            targets=targets,
            rate=settings["rate"] / count,
            seed=settings["seed"] * 1000 + index,
            stop=stop,
            start_s=start_s,
        )
        for index in range(count)
    ]
    for client in clients:
        client.start()
    threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
    print(json.dumps({"ready": True}), flush=True)
    while not stop.wait(0.1):
        print(json.dumps({"acknowledged": sum(client.acknowledged for client in clients)}), flush=True)
        dead = [client.name for client in clients if not client.is_alive() and not stop.is_set()]
        if dead:
            raise RuntimeError(f"clients ended before they were told to: {dead}")
    for client in clients:
        client.join()
    _write_journal(Path(settings["journal"]), targets, clients, time.monotonic() - start_s)


def _watch_input(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def _write_journal(path: Path, targets: Sequence[Target], clients: Sequence[Client], duration_s: float) -> None:
    rows = [
        JournaledRow(target=number, key=list(key), states=states)
        for client in clients
        for (number, key), states in client.rows.items()
    ]
    latencies = sorted(latency for client in clients for latency in client.latencies_ms)
    acknowledged = sum(client.acknowledged for client in clients)
    content = {
        "acknowledged": acknowledged,
        "unknown": sum(client.unknown for client in clients),
        "rolled_back": sum(client.rolled_back for client in clients),
        "reconnects": sum(client.reconnects for client in clients),
        "kinds": sum((client.kinds for client in clients), Counter()),
        "conflicts": sum((client.conflicts for client in clients), Counter()),
        "errors": [asdict(error) for client in clients for error in client.errors],
        "connection_losses": [loss for client in clients for loss in client.connection_losses],
        "max_latency_ms": latencies[-1] if latencies else 0.0,
        "p99_latency_ms": latencies[int(len(latencies) * 0.99)] if latencies else 0.0,
        "rate": acknowledged / duration_s,
        "duration_s": duration_s,
        "targets": [asdict(target) for target in targets],
        "rows": [[row.target, row.key, row.states] for row in rows],
    }
    path.write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    _serve()
