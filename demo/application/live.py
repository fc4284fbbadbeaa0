"""The application seen from outside: start it, let it write, stop it, and see whether a write is missing."""

import json
import os
import selectors
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Never, Self

from demo.application.check import check_journal
from demo.application.journal import Journal

URL_VARIABLE = "SHOP_DATABASE_URL"

_START_S = 60.0
_STOP_S = 60.0


class ApplicationFailed(RuntimeError):
    """The application's process did not start, or ended without a result; the message has its last words."""


@dataclass(frozen=True, kw_only=True)
class ApplicationReport:
    """What the application lived through.

    acknowledged: facts that acknowledged transactions left (rows, absences, counters); found_again: how
    many of them hold; lost: one sentence for each that does not, and for each table with too many or too
    few rows; errors: SQLSTATE, message and statement, with how often; retries: transactions tried again
    after a deadlock, a lock timeout, a serialization failure or a lost connection; unknown: transactions
    whose COMMIT got no answer (what they wrote is not judged); latencies: of whole transactions, with
    their retries, without their deliberate pauses; by_kind: acknowledged transactions; writes: their row
    changes, cascades included.
    """

    acknowledged: int
    found_again: int
    lost: list[str]
    errors: list[str]
    retries: int
    unknown: int
    writes: int
    max_latency_ms: float
    p99_latency_ms: float
    by_kind: dict[str, int]
    seconds: float

    @property
    def transactions(self) -> int:
        """Acknowledged transactions, those that rolled back on purpose included."""
        return sum(self.by_kind.values())


class Application:
    """Live writers in a process of their own: `clients` connections, `rate` transactions a second in all.

    A context manager: leaving it ends the process, whatever happened. Only one application at a time
    may write to a database, and nothing else may change the shop's content meanwhile.
    """

    def __init__(self, *, url: str, clients: int = 4, rate: float = 400, seed: int = 1) -> None:
        self.journal: Journal | None = None
        self._url = url
        self._options = ["--clients", str(clients), "--rate", str(rate), "--seed", str(seed)]
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> None:
        """Start the process; returns when it writes. Raises ApplicationFailed."""
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, URL_VARIABLE: self._url, "PYTHONPATH": os.pathsep.join(paths)}
        self._folder = tempfile.TemporaryDirectory(prefix="shop-")
        command = [sys.executable, "-m", "demo.application", "--journal", str(self._file("journal.json"))]
        with self._file("stderr.txt").open("wb") as stderr:
            self._process = subprocess.Popen(
                [*command, *self._options],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            answered = bool(selector.select(_START_S))
        if not answered or self._process.stdout.readline() != "ready\n":
            self._end("it did not start")

    def stop(self) -> ApplicationReport:
        """Let the clients finish their transactions, then look for all they wrote.

        The journal stays in `journal`, for looking again. Raises ApplicationFailed.
        """
        assert self._process is not None, "start() comes first"
        try:
            # Closes its standard input, which ends it, and waits.
            printed, _ = self._process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            self._end(f"it did not stop within {_STOP_S:.0f} s")
        if self._process.returncode != 0:
            self._end(f"it ended with code {self._process.returncode}")
        result = json.loads(printed)
        self.journal = Journal.load(self._file("journal.json"))
        check = check_journal(self._url, self.journal)
        self._close()
        return ApplicationReport(
            acknowledged=self.journal.entries(), found_again=check.found_again, lost=check.lost, **result
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _file(self, name: str) -> Path:
        assert self._folder is not None, "start() comes first"
        return Path(self._folder.name) / name

    def _end(self, what: str) -> Never:
        """Give up: end the process and raise with what it said last."""
        self._close_process()
        words = self._file("stderr.txt").read_text(errors="replace").strip()[-2000:]
        self._close()
        raise ApplicationFailed(f"the sample application failed: {what}\n{words}")

    def _close(self) -> None:
        self._close_process()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _close_process(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
