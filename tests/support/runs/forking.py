"""Processes of ours without the second of start-up: forked from one process that has imported everything.

Importing takes nine tenths of a short command's time, and the tests start hundreds. A forked process has its own
environment, arguments, signals and files and runs the command's `main`, as one that was executed does; only
its imports are done. That each command also starts by itself is shown in `tests/cli/test_starting.py`.

`python forking.py` is the process that forks: it reads an order, a line of JSON, and answers with a process id.
"""

import atexit
import contextlib
import functools
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ANSWERS = 1
OUTPUTS = (".stdout", ".stderr")
POLL_S = 0.01


class Forked:
    """A forked process, looked at as one looks at a `subprocess.Popen`."""

    def __init__(self, pid: int, ending: Path) -> None:
        self.pid = pid
        self._ending = ending
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._code is None and self._ending.exists():
            self._code = int(self._ending.read_text())
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
            time.sleep(POLL_S)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class Forker:
    """The process that forks. It ends when its owner does."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={name: value for name, value in os.environ.items() if not name.startswith("REPLANK_")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], output: Path, *, folder: Path | None = None
    ) -> Forked:
        """`replank ARGUMENTS` in a folder, writing to `output` with the endings .stdout and .stderr."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # There at once: whoever started the process may look before it has written.
        for ending in OUTPUTS:
            output.with_suffix(ending).touch()
        order = {"arguments": list(arguments), "environment": dict(environment), "output": str(output)}
        order["folder"] = str(folder or Path.cwd())
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return Forked(int(self._process.stdout.readline()), output.with_suffix(".ending"))

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()


@functools.cache
def forker() -> Forker:
    """The one of this process."""
    made = Forker()
    atexit.register(made.close)
    return made


def run_command(
    *arguments: str, environment: Mapping[str, str], folder: Path | None = None, deadline_s: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """`replank ARGUMENTS` to its end. Raises subprocess.TimeoutExpired, and the process is gone then."""
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "command"
        process = forker().start(arguments, environment, output, folder=folder)
        try:
            code = process.wait(deadline_s)
        finally:
            process.kill()
        said = [output.with_suffix(ending).read_text(encoding="utf-8") for ending in OUTPUTS]
    return subprocess.CompletedProcess(arguments, code, *said)


def _serve() -> None:
    """Fork for each order. What a forked process raises goes out of here, to the interpreter's end."""
    from replank.cli.app import build_app, main

    build_app()
    # The children share these objects with us as long as nobody writes to them.
    gc.collect()
    gc.freeze()
    for line in sys.stdin.buffer:
        _reap()
        order = json.loads(line)
        # One waits for the other and notes its end.
        if os.fork() == 0:
            pid = os.fork()
            if pid == 0:
                _become(order)
                return main()
            os.write(ANSWERS, f"{pid}\n".encode())
            _note_end(pid, Path(order["output"]))
    return None


def _reap() -> None:
    """Take leave of those that have noted an end, so that their time counts as ours."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def _become(order: Mapping[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    output = Path(order["output"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, ending in enumerate(OUTPUTS, start=1):
        os.dup2(os.open(output.with_suffix(ending), os.O_WRONLY), number)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["-c", *order["arguments"]]


def _note_end(pid: int, output: Path) -> None:
    _, status = os.waitpid(pid, 0)
    noted = output.with_suffix(".noted")
    noted.write_text(str(os.waitstatus_to_exitcode(status)))
    noted.rename(output.with_suffix(".ending"))
    os._exit(0)


if __name__ == "__main__":
    # Ctrl-C is for the tests; without them there are no orders.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # An executed command would not find the tests' modules either.
    sys.path.pop(0)
    _serve()
