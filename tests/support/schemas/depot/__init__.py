"""A sample application: the models of a depot with their Alembic history, in its own folder as an application is."""

import shutil
from pathlib import Path

FOLDER = Path(__file__).parent
PARTS = ("alembic.ini", "depot", "migrations")


def copy_application(to: Path) -> Path:
    """A copy that may be changed. The folder to start Alembic in."""
    ignored = shutil.ignore_patterns("__pycache__")
    to.mkdir()
    for part in PARTS:
        if (FOLDER / part).is_dir():
            shutil.copytree(FOLDER / part, to / part, ignore=ignored)
        else:
            shutil.copy(FOLDER / part, to / part)
    return to
