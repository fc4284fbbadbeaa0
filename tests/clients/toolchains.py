"""Where clients of other languages come from: packages of npm, Maven Central and Go's proxy, in a folder that is kept.

What is missing is an error that says what to install; nothing is left out.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.servers.node import program

from clients.processes import PROGRAMS

CACHE = Path(__file__).parents[2] / ".servers" / "clients"
INSTALL_S = 600.0

PG = {"pg": "8.23.1"}
PRISMA = {"@prisma/adapter-pg": "7.10.0", "@prisma/client": "7.10.0", "prisma": "7.10.0"}
PGJDBC = "42.7.8"


def found(name: str, what: str) -> str:
    """The program on PATH. Fails, saying what to install."""
    path = shutil.which(name)
    assert path is not None, f"`{name}` is not on PATH: install {what}, which `make clients` needs"
    return path


def node_modules(name: str, packages: Mapping[str, str]) -> Path:
    """A folder in which npm has installed these packages."""
    manifest = json.dumps({"private": True, "dependencies": packages}, indent=2)
    with _once(name, manifest) as folder:
        if folder is not None:
            (folder / "package.json").write_text(manifest)
            _run([*program("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts"], folder)
    return CACHE / name


def prisma_modules() -> Path:
    """The same with Prisma's client, made from our models. It has no engine: WebAssembly compiles its queries."""
    folder = node_modules("prisma", PRISMA)
    schema = PROGRAMS / "node" / "schema.prisma"
    with _once("prisma-generated", schema.read_text()) as made:
        if made is not None:
            shutil.copy(schema, folder / "schema.prisma")
            command = [*program("node"), "node_modules/prisma/build/index.js", "generate", "--schema", "schema.prisma"]
            # The command line would fetch an engine for migrations before it generates anything: any program will do.
            _run(
                command, folder, {"PRISMA_SCHEMA_ENGINE_BINARY": found("true", "coreutils"), "CHECKPOINT_DISABLE": "1"}
            )
    return folder


def pgjdbc() -> Path:
    """The driver's jar."""
    with _once("jdbc", PGJDBC) as folder:
        if folder is not None:
            maven = [found("mvn", "Maven and a JDK of 17 or later"), "-q", "-B"]
            artifact = f"org.postgresql:postgresql:{PGJDBC}"
            target = [f"-Dartifact={artifact}", f"-DoutputDirectory={folder}", "-Dmdep.useBaseVersion=true"]
            _run([*maven, "dependency:get", target[0], "-Dtransitive=false"], folder)
            _run([*maven, "dependency:copy", *target], folder)
    return CACHE / "jdbc" / f"postgresql-{PGJDBC}.jar"


def pgx() -> Path:
    """Our program with pgx, built."""
    sources = PROGRAMS / "pgx"
    texts = "".join((sources / name).read_text() for name in ("main.go", "go.mod", "go.sum"))
    with _once("pgx", texts) as folder:
        if folder is not None:
            _run([found("go", "Go 1.25 or later"), "build", "-o", str(folder / "client"), "."], sources)
    return CACHE / "pgx" / "client"


@contextmanager
def _once(name: str, contents: str) -> Iterator[Path | None]:
    """A folder that is to be filled, or None where it has been filled from the same contents."""
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / "installed"
        if done.exists() and done.read_text() == contents:
            yield None
            return
        yield folder
        done.write_text(contents)


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)} failed: {(done.stderr or done.stdout)[-2_000:]}"
