"""Nothing of the folder it is called in, nor of PYTHONPATH, becomes part of the console command.

Operators call it inside projects that may have a `workers` or a `celery` of their own. Python's isolated mode is an
option of the interpreter, which a console script cannot ask for; so the search path is put right before anything but
this module is imported. Imports nothing outside the standard library.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from replank.errors import WrongUse

PACKAGES = ("sql", "monitoring", "producer", "workers", "demo")
"""The packages beside this one. Their names are common, so an installation keeps them inside this package's folder."""

_HERE = Path(__file__).resolve().parent
_INSTALLED = _HERE / "packages"
ROOT = _INSTALLED if _INSTALLED.is_dir() else _HERE.parent
"""The folder of `PACKAGES`: of an installation, or of the sources."""

_PATH_VARIABLE = "PYTHONPATH"
_CELERY_PREFIX = "CELERY_"

ALONE = (
    "Replank is an application. Install it in an environment of its own, with `uv tool install` or `pipx install`, "
    "or use its image (README.md, Install)."
)


def with_extra(name: str) -> str:
    """What to do where libraries are missing that only an extra brings."""
    return f"install Replank with its extra `{name}`, as replank[{name}] (README.md, Install)"


def isolate() -> None:
    """Put the search path right, here and for every Python process that this one starts.

    Celery's own variables belong to an application of the operator's: `CELERY_BROKER_URL` would go before the broker
    that Replank was told of.
    """
    # A folder that was only found by PYTHONPATH may be where Replank and its libraries are installed.
    own = str(_HERE.parent)
    foreign = set(_foreign_entries()) - {own}
    by_variable = [own] if own in map(os.path.abspath, _path_variable()) else []
    kept = [entry for entry in sys.path if os.path.abspath(entry) not in foreign]
    sys.path[:] = dict.fromkeys([str(ROOT), *kept])
    os.environ[_PATH_VARIABLE] = os.pathsep.join(dict.fromkeys([str(ROOT), *by_variable]))
    os.environ["PYTHONSAFEPATH"] = "1"
    for name in [name for name in os.environ if name.startswith(_CELERY_PREFIX)]:
        del os.environ[name]


def refuse_foreign_packages() -> None:
    """Raises WrongUse where Python has or would take another package for one of ours."""
    for name in PACKAGES:
        found = find_spec(name)
        place = found.origin if found is not None else None
        if place is None or not Path(place).resolve().is_relative_to(ROOT):
            taken = f"takes {place}" if place else "finds nothing"
            raise WrongUse(f"Python {taken} for Replank's own package {name} ({ROOT / name}).", hint=ALONE)


def python_command(*arguments: str) -> list[str]:
    """`replank ARGUMENTS` as a process of its own, with the same interpreter."""
    return [sys.executable, "-P", "-m", "replank", *arguments]


def _foreign_entries() -> Iterator[str]:
    yield from map(os.path.abspath, _path_variable())
    # The working directory, or the folder of the script.
    if not sys.flags.safe_path and sys.path:
        yield os.path.abspath(sys.path[0])


def _path_variable() -> list[str]:
    named = os.environ.get(_PATH_VARIABLE)
    return named.split(os.pathsep) if named else []
