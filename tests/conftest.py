"""What all tests share: servers keep their files in memory, and the programs they start are compiled once.

A test makes a database of its own, some 300 files, and drops it. On ext4 the kernel looks through all inodes
that were deleted within the last seconds before it gives a new one, which took a fifth of PostgreSQL's time.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

pytest_plugins = ["pytester", "support.runs.attacks", "support.servers.shared"]

MEMORY_FILES = Path("/dev/shm")
FREE_BYTES = 6 * 2**30
"""So much must be free in memory; a whole suite needs less than 1 GB."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clients", action="store_true", help="write what clients met into docs/clients.md")


def _memory_serves() -> bool:
    """Whether servers' folders may lie in memory: there is enough, and programs may be run from there."""
    try:
        system = os.statvfs(MEMORY_FILES)
    except OSError:
        return False
    free = min(system.f_bavail * system.f_frsize, psutil.virtual_memory().available)
    return free >= FREE_BYTES and not system.f_flag & os.ST_NOEXEC and os.access(MEMORY_FILES, os.W_OK)


# The long form writes more than memory should hold.
if "REPLANK_RUNTIME_DIR" not in os.environ and os.environ.get("REPLANK_LONG") != "1" and _memory_serves():
    os.environ["REPLANK_RUNTIME_DIR"] = str(MEMORY_FILES / f"replank-test-{os.geteuid()}")

# Logs of local workers, tracebacks and what Flower remembers are no business of the user's own folder.
if "XDG_STATE_HOME" not in os.environ:
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="replank-test-state-")
    atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# Dozens of processes of ours are started; without this each would compile all our modules for itself.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
