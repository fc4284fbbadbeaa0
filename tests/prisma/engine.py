"""Prisma's own engine as WebAssembly, asked through Node: what it says of a schema file is the last word.

The command line `prisma` is of no use here: without its native engine, which it wants to download, its `migrate`
commands end well and do nothing.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.servers.node import program

ROOT = Path(__file__).parents[2]
MODULES = ROOT / ".servers" / "prisma-node"
INSTALL_S = 300.0
ANSWER_S = 120.0

_COMMIT = "6.19.0-26.2ba551f319ab1df4bc874a89965d8b3641056773"
PACKAGES = {
    # Builds from 7 on refuse `url = env(…)` in the datasource, which nearly every file has.
    "@prisma/prisma-schema-wasm": _COMMIT,
    "@prisma/schema-engine-wasm": _COMMIT,
    "@prisma/adapter-pg": "6.19.0",
    "@prisma/driver-adapter-utils": "6.19.0",
}


class EngineRefused(Exception):
    """The engine answered with an error of its own, e.g. that a schema is not valid."""


def ask(what: str, **given: Any) -> Any:
    """One question to the engine. Raises EngineRefused with its words."""
    request = json.dumps({"ask": what, **given})
    node = [*program("node"), str(Path(__file__).with_name("engine.mjs")), str(installed())]
    done = subprocess.run(node, input=request, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    assert done.stdout, f"Prisma's engine gave no answer: {done.stderr[-2_000:]}"
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise EngineRefused(answer["error"])
    return answer["answer"]


def installed() -> Path:
    """The folder with the engine's packages; npm fills it once. Fails, in words, if it cannot."""
    manifest = json.dumps({"private": True, "type": "module", "dependencies": PACKAGES}, indent=2)
    MODULES.mkdir(parents=True, exist_ok=True)
    with (MODULES / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = MODULES / "installed.json"
        if not done.exists() or done.read_text() != manifest:
            (MODULES / "package.json").write_text(manifest)
            _install()
            done.write_text(manifest)
    return MODULES


def _install() -> None:
    npm = [*program("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(npm, cwd=MODULES, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    assert done.returncode == 0, (
        f"npm could not install Prisma's engine, which these tests need: {done.stderr[-2_000:]}"
    )


@dataclass(frozen=True, kw_only=True)
class Migration:
    """A folder of `prisma/migrations`."""

    name: str
    script: str

    def to_json(self) -> dict[str, str]:
        return {"name": self.name, "script": self.script}


def validate(schema: str) -> None:
    ask("validate", schema=schema)


def formatted(schema: str) -> str:
    return str(ask("format", schema=schema))


def statements(script: str) -> list[str]:
    """The statements of a script of the engine's; it puts a comment above each, and none where nothing differs."""
    without = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    return [one for part in without.split(";") if (one := " ".join(part.split()))]


def difference(url: str, schema: str) -> list[str]:
    """What `prisma migrate` would still do to the database."""
    return statements(ask("diff", url=url, schema=schema))


def creation(url: str, schema: str) -> str:
    """The script that makes an empty database what the file says; `url` leads to any server."""
    return str(ask("create", url=url, schema=schema))


def difference_from_migrations(url: str, migrations: Sequence[Migration], schema: str) -> list[str]:
    """What is missing in a database that is made by these migrations alone (Prisma's shadow database)."""
    listed = [one.to_json() for one in migrations]
    return statements(ask("diff_migrations", url=url, migrations=listed, schema=schema))


def history(url: str, migrations: Sequence[Migration]) -> dict[str, Any]:
    """What the engine thinks of the database's migration history."""
    return dict(ask("history", url=url, migrations=[one.to_json() for one in migrations]))


def apply(url: str, migrations: Sequence[Migration]) -> None:
    """What `prisma migrate deploy` does."""
    applied(url, migrations)


def applied(url: str, migrations: Sequence[Migration]) -> list[str]:
    """What `prisma migrate deploy` does, and the names of the migrations that were missing."""
    answer = ask("apply", url=url, migrations=[one.to_json() for one in migrations])
    return list(answer["appliedMigrationNames"])
