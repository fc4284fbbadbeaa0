"""`python -m demo.application`: the application as a process of its own.

The database's URL comes through the environment, because everybody may read a process's arguments.
Says "ready" on standard output when it writes. Lines on its standard input are orders (`Writers.obey`), each
answered with "done", or with what went wrong. Ends on SIGTERM, or when its standard input is closed; then journal
and result are in the folder.
"""

import argparse
import os
import random
import signal
import sys
import threading
from pathlib import Path

from demo.application.process import URL_VARIABLE
from demo.application.writers import Writers, run_clients
from demo.clients.crew import Hiring
from demo.datasets import DATA_SETS, find_workload


def main() -> int:
    """Run until told to stop. Exit code 0: journal and result are written; 2: no URL."""
    parser = argparse.ArgumentParser(prog="python -m demo.application", description=__doc__)
    parser.add_argument("--data-set", choices=DATA_SETS, required=True)
    parser.add_argument("--clients", type=int, default=4, help="of each group")
    parser.add_argument("--rate", type=float, default=400.0, help="transactions per second of each group")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True, help="for what must be found again, and the result")
    options = parser.parse_args()
    url = os.environ.get(URL_VARIABLE)
    if not url:
        print(f"{URL_VARIABLE} must hold the database's URL", file=sys.stderr)
        return 2
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C in a terminal reaches the whole group; the parent decides when the application ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def ready(writers: Writers) -> None:
        threading.Thread(target=_obey, args=(writers, stop), daemon=True).start()
        print("ready", flush=True)

    run_clients(
        find_workload(options.data_set),
        Hiring(url=url, clients=options.clients, rate=options.rate, rng=random.Random(options.seed), stop=stop),
        folder=options.folder,
        ready=ready,
    )
    return 0


def _obey(writers: Writers, stop: threading.Event) -> None:
    """The parent holds our standard input open; when it ends, however it ends, so do we."""
    # The bare descriptor: a thread waiting in sys.stdin would hold its lock at the interpreter's exit.
    waiting = b""
    while more := os.read(0, 4096):
        *orders, waiting = (waiting + more).split(b"\n")
        for order in orders:
            try:
                writers.obey(order.decode())
            except (LookupError, ValueError, TimeoutError) as error:
                print(f"refused: {error}", flush=True)
            else:
                print("done", flush=True)
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
