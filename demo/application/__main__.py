"""`python -m demo.application`: the application as a process of its own.

The database's URL comes through the environment, because everybody may read a process's arguments.
Says "ready" on standard output when it writes, and its result as one JSON object when it is done: on
SIGTERM, or when its standard input is closed.
"""

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from demo.application.live import URL_VARIABLE
from demo.application.writers import run_clients


def main() -> int:
    """Run until told to stop. Exit code 0: the result was printed; 2: no URL."""
    parser = argparse.ArgumentParser(prog="python -m demo.application", description=__doc__)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rate", type=float, default=400.0, help="transactions per second in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--journal", type=Path, required=True, help="file for what must be found again")
    options = parser.parse_args()
    url = os.environ.get(URL_VARIABLE)
    if not url:
        print(f"{URL_VARIABLE} must hold the database's URL", file=sys.stderr)
        return 2
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C in a terminal reaches the whole group; the parent decides when the application ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_closed_stdin, args=(stop,), daemon=True).start()
    result = run_clients(
        url,
        clients=options.clients,
        rate=options.rate,
        seed=options.seed,
        journal=options.journal,
        stop=stop,
        ready=lambda: print("ready", flush=True),
    )
    print(json.dumps(result), flush=True)
    return 0


def _wait_for_closed_stdin(stop: threading.Event) -> None:
    """The parent holds our standard input open; when it ends, however it ends, so do we."""
    # The bare descriptor: a thread waiting in sys.stdin would hold its lock at the interpreter's exit.
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
