"""A sample application: a Django project of two apps with their history, in its own folder as an application is."""

import shutil
from pathlib import Path

FOLDER = Path(__file__).parent
PARTS = ("studio", "people", "work")


def copy_application(to: Path) -> Path:
    """A copy that may be changed. The folder to start Django in."""
    ignored = shutil.ignore_patterns("__pycache__")
    to.mkdir()
    shutil.copy(FOLDER / "manage.py", to)
    for part in PARTS:
        shutil.copytree(FOLDER / part, to / part, ignore=ignored)
    return to
