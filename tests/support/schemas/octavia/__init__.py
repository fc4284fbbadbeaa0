"""Another real application: the package ``octavia`` (OpenStack), its SQLAlchemy models and its Alembic history.

It is installed in an environment of its own beside the project, never with it: it wants versions of its own. Whatever
runs its code is a program of this folder, started with that environment's interpreter.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PROGRAMS = Path(__file__).with_name("programs")
PROJECT = Path(__file__).resolve().parents[4]
FOLDER = PROJECT / ".servers" / "octavia"

MODELS = "octavia.db.models:base_models.BASE.metadata"
ROWS = Path(__file__).with_name("rows.sql")


def interpreter() -> Path:
    """The Python that has octavia's packages; installed once. Raises CalledProcessError."""
    python = FOLDER / "bin" / "python"
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done, wanted = FOLDER / "installed.txt", REQUIREMENTS.read_text(encoding="utf-8")
        if not done.exists() or done.read_text(encoding="utf-8") != wanted:
            shutil.rmtree(FOLDER, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(FOLDER)], check=True)
            # Without their dependencies: octavia's 35 services, clients and frameworks are not imported by its models.
            pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
            subprocess.run(
                [*pip, "install", "--no-compile", "--no-deps", "--requirement", str(REQUIREMENTS)], check=True
            )
            done.write_text(wanted, encoding="utf-8")
    return python


def run_program(
    name: str, *arguments: str, source: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """What a program of `programs` prints. `source`: a folder with octavia's source, before that which is installed.

    Raises AssertionError where it fails.
    """
    done = subprocess.run(
        [str(interpreter()), "-W", "ignore", str(PROGRAMS / f"{name}.py"), *arguments],
        env=environment_of(source) | dict(environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5_000:]
    return done.stdout


def environment_of(source: Path | None) -> dict[str, str]:
    """The variables of one of its programs."""
    path = {} if source is None else {"PYTHONPATH": str(source)}
    return {**os.environ, **path}


def copy_source(folder: Path) -> Path:
    """A developer's working copy of octavia's source in `folder`, which PYTHONPATH may name.

    What our documentation tells an application to take along lies beside it: `for_replank` and `text_or_uuid`.
    """
    (package,) = interpreter().parents[1].glob("lib/python*/site-packages/octavia")
    shutil.copytree(package, folder / "octavia", ignore=shutil.ignore_patterns("tests"))
    shutil.copy(PROJECT / "replank" / "alembic.py", folder / "for_replank.py")
    clients = (PROJECT / "docs" / "clients.md").read_text(encoding="utf-8")
    shown = re.search(r"^class TextOrUuid.*?(?=^class )", clients, re.DOTALL | re.MULTILINE)
    assert shown is not None
    (folder / "text_or_uuid.py").write_text(
        f"from sqlalchemy.types import UserDefinedType\n\n\n{shown.group()}", encoding="utf-8"
    )
    return folder


def create_tables(url: str) -> None:
    """Make them in the empty database at ``url``."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(run_program("create_all").encode())


def prepare(url: str, source: Path, *, projects: int) -> list[str]:
    """Tables of an empty database as the models make them, stamped as up to date, with some 600 rows for each project.

    Returns what Alembic finds different between models and tables even so.
    """
    found = run_program("prepare", sqlalchemy_url(url), source=source)
    with psycopg.connect(url) as connection:
        connection.execute("SELECT set_config('octavia.projects', %s, true)", [str(projects)])
        connection.execute(ROWS.read_bytes())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    return list(json.loads(found))


def sqlalchemy_url(url: str, driver: str = "psycopg") -> str:
    return url.replace("postgresql://", f"postgresql+{driver}://")
