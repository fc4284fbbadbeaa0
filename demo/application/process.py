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
from demo.application.clients_result import ClientsResult
from demo.application.journal import Journal
from replank.isolation import ROOT

URL_VARIABLE = "APPLICATION_DATABASE_URL"

_START_S = 60.0
_STOP_S = 60.0
_ORDER_S = 90.0


class ApplicationFailed(RuntimeError):
    """The application's process did not start, or ended without a result; the message has its last words."""


@dataclass(frozen=True, kw_only=True)
class ApplicationReport(ClientsResult):
    """What the application lived through, and what of it is in the database.

    acknowledged: facts that acknowledged transactions left (rows, absences, counters); found_again: how many of them
    hold; lost: one sentence for each that does not, and for each table with too many or too few rows.
    """

    acknowledged: int
    found_again: int
    lost: list[str]

    @property
    def transactions(self) -> int:
        """Acknowledged transactions, those that rolled back on purpose included."""
        return sum(self.by_kind.values())

    def write_statements(self, journal: Path, errors: Path) -> None:
        """What `replank report --journal … --errors …` reads."""
        said = {"source": "the sample application's own clients"}
        journal.write_text(json.dumps({"checked": self.acknowledged, "lost": self.lost, **said}), encoding="utf-8")
        asked = self.transactions + len(self.errors)
        errors.write_text(json.dumps({"checked": asked, "errors": self.errors, **said}), encoding="utf-8")


class Application:
    """Live writers in a process of their own: `clients` connections, `rate` transactions a second in all.

    A context manager: leaving it ends the process, whatever happened. Only one application at a time
    may write to a database, and nothing else may change its content meanwhile. A data set may have several groups of
    clients: `clients` and `rate` are of each.
    """

    def __init__(
        self, *, url: str, data_set: str = "market", clients: int = 4, rate: float = 400, seed: int = 1
    ) -> None:
        self.journal: Journal | None = None
        self._url = url
        self._options = ["--data-set", data_set, "--clients", str(clients), "--rate", str(rate), "--seed", str(seed)]
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> None:
        """Start the process; returns when it writes. Raises ApplicationFailed."""
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, URL_VARIABLE: self._url, "PYTHONPATH": os.pathsep.join(paths)}
        self._folder = tempfile.TemporaryDirectory(prefix="application-")
        command = [sys.executable, "-P", "-m", "demo.application", "--folder", self._folder.name]
        with self._file("stderr.txt").open("wb") as stderr:
            self._process = subprocess.Popen(
                [*command, *self._options],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        if self._answer(_START_S) != "ready":
            self._end("it did not start")

    def order(self, words: str) -> None:
        """Give an order (`withdraw old`, `deploy new`, `deployed new`) and wait until it is done."""
        assert self._process is not None
        assert self._process.stdin is not None, "start() comes first"
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()
        answer = self._answer(_ORDER_S)
        if answer != "done":
            self._end(f"{words}: {answer or 'no answer'}")

    def look(self) -> ApplicationReport:
        """Hold all clients between two transactions and look for all they wrote. `go_on` lets them write again."""
        self.order("look")
        return self._report()

    def go_on(self) -> None:
        """Let the clients of all groups work that were held."""
        self.order("deploy")

    def stop(self) -> ApplicationReport:
        """Let the clients finish their transactions, then look for all they wrote.

        The journal stays in `journal`, for looking again. Raises ApplicationFailed.
        """
        assert self._process is not None, "start() comes first"
        try:
            # Closes its standard input, which ends it, and waits.
            self._process.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            self._end(f"it did not stop within {_STOP_S:.0f} s")
        if self._process.returncode != 0:
            self._end(f"it ended with code {self._process.returncode}")
        report = self._report()
        self._close()
        return report

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _report(self) -> ApplicationReport:
        result = json.loads(self._file("result.json").read_text(encoding="utf-8"))
        self.journal = Journal.load(self._file("journal.json"))
        check = check_journal(self._url, self.journal)
        return ApplicationReport(
            acknowledged=self.journal.entries(), found_again=check.found_again, lost=check.lost, **result
        )

    def _answer(self, deadline_s: float) -> str:
        """The next line that the process says; empty when there is none in time."""
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            answered = bool(selector.select(deadline_s))
        return self._process.stdout.readline().strip() if answered else ""

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
