"""The shop's own project, as its developers have it: models, Alembic's history, and the type for a cutover."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from demo.datasets.data_set import AlembicFailed

FOLDER = Path(__file__).parent
PARTS = ("alembic.ini", "shop", "migrations")

MODELS = "shop.models:Base.metadata"
URL_VARIABLE = "SHOP_DATABASE_URL"

_LAST_CHARACTERS = 4_000


def copy_project(to: Path) -> Path:
    """A copy that may be changed. The folder to start Alembic in."""
    ignored = shutil.ignore_patterns("__pycache__")
    to.mkdir()
    for part in PARTS:
        if (FOLDER / part).is_dir():
            shutil.copytree(FOLDER / part, to / part, ignore=ignored)
        else:
            shutil.copy(FOLDER / part, to / part)
    return to


def alembic(url: str, *arguments: str, folder: Path = FOLDER) -> str:
    """What Alembic says, as a developer calls it in the project's folder. Raises AlembicFailed."""
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=folder,
        env={**os.environ, URL_VARIABLE: sqlalchemy_url(url)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    if done.returncode:
        raise AlembicFailed(
            f"`alembic {' '.join(arguments)}` ended with {done.returncode}:\n{said[-_LAST_CHARACTERS:]}"
        )
    return said


def sqlalchemy_url(url: str) -> str:
    """The same URL for SQLAlchemy with psycopg 3."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
