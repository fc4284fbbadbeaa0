"""A runtime root of their own for these tests, and processes that own servers."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import demo
from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from embedded.owning_process import Facts

PROGRAM = Path(__file__).with_name("owning_process.py")
AWKWARD_VALUE = "it's a \\ line,\nand another"
PROJECT = Path(demo.__file__).parents[1]


class OwningProcess:
    """A child process that owns servers; `facts` says which."""

    def __init__(self, *arguments: str) -> None:
        """Start it with the arguments of `owning_process.py` and wait for its report."""
        search_path = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": search_path},
        )
        try:
            self.facts = self.read_facts()
        except ValueError:
            self.close()
            raise

    def read_facts(self) -> list[Facts]:
        """The next line of its report."""
        assert self.process.stdout is not None
        return [Facts(**fields) for fields in json.loads(self.process.stdout.readline())]

    def end(self) -> int:
        """Let it run to its end; returns its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(timeout=20)

    def close(self) -> None:
        """Kill it if it still runs."""
        self.process.kill()
        self.process.wait(timeout=20)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


@pytest.fixture(scope="module")
def runtime_root() -> Iterator[Path]:
    """An empty runtime root, which must hold no instance when the tests are through."""
    root = Path(tempfile.mkdtemp(prefix="replank-test-"))
    # The servers' own user passes through it when we are root; pytest's tmp_path would not let it.
    root.chmod(0o711)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPLANK_RUNTIME_DIR", str(root))
        yield root
    left = [path.name for path in root.iterdir() if path.name.startswith(("postgres-", "valkey-"))]
    shutil.rmtree(root)
    assert left == []


@pytest.fixture(scope="module")
def postgres(runtime_root: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server that the tests share."""
    with EmbeddedPostgres() as server:
        assert server.data_dir.is_relative_to(runtime_root)
        yield server


@pytest.fixture(scope="module")
def other_postgres(runtime_root: Path) -> Iterator[EmbeddedPostgres]:
    """Another one, with settings of its own."""
    settings = {"shared_buffers": "16MB", "replank.note": AWKWARD_VALUE, "port": "1"}
    with EmbeddedPostgres(settings=settings, durable=False) as server:
        assert server.data_dir.is_relative_to(runtime_root)
        yield server


@pytest.fixture(scope="module")
def valkey(runtime_root: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey server that the tests share."""
    with EmbeddedValkey(settings={"appendfsync": "always"}) as server:
        assert server.data_dir.is_relative_to(runtime_root)
        yield server


@pytest.fixture
def own(runtime_root: Path) -> Iterator[Callable[..., OwningProcess]]:
    """Starts processes that own servers under the same runtime root, and kills them in the end."""
    assert runtime_root.is_dir()
    started: list[OwningProcess] = []

    def start(*arguments: str) -> OwningProcess:
        started.append(OwningProcess(*arguments))
        return started[-1]

    yield start
    for process in started:
        process.close()
