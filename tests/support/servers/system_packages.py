"""Programs that no Python wheel brings: found on PATH, or installed from the system's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress

INSTALL_S = 180
SYSTEM_FOLDERS = "/usr/sbin:/usr/local/sbin"


def find_program(*names: str) -> str | None:
    """The first of these programs on PATH or among the system's own, or None."""
    path = os.pathsep.join((os.environ.get("PATH", ""), SYSTEM_FOLDERS))
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def apt_commands(*packages: str) -> list[list[str]]:
    """What installs Debian's packages; nothing where we are not root, or the system is another one."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return []
    install = ["apt-get", "-y", "-qq", "--no-install-recommends", "install", *packages]
    return [["apt-get", "-qq", "update"], install]


def run_installer(command: Sequence[str]) -> None:
    """Whether it helped is seen by looking for the program again."""
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=INSTALL_S, check=False)
