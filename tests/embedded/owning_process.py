"""A process that owns embedded servers; tests run it, question it and kill it.

Usage: owning_process.py KINDS AFTERWARDS [USER], KINDS being `postgres`, `valkey` or `postgres,valkey`.
It starts the servers, prints one line of JSON about them, then obeys AFTERWARDS: `wait` (until standard
input ends), `exit`, or `fork` (let a forked child run to its end, then say whether the servers still live).
With USER it first gives up root for that user, for good.
"""

import contextlib
import json
import os
import pwd
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from demo.embedded import EmbeddedPostgres, EmbeddedServerError, EmbeddedValkey
from demo.embedded.accounts import server_account
from demo.embedded.binaries import postgres_bin_dir
from demo.embedded.folders import OwnedFolder


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known about one server: who runs it, where, and how it is reached."""

    kind: str
    pid: int
    uid: int
    url: str
    folder: str


def facts(server: EmbeddedPostgres | EmbeddedValkey) -> Facts:
    """The facts of a started server."""
    kind = "postgres" if isinstance(server, EmbeddedPostgres) else "valkey"
    uid = Path(f"/proc/{server.pid}").stat().st_uid if Path("/proc/self").exists() else os.geteuid()
    return Facts(kind=kind, pid=server.pid, uid=uid, url=server.url(), folder=str(server.data_dir.parent))


def become(user: str) -> Path:
    """Give up root for good; returns PostgreSQL's programs where that user can run them.

    The interpreter and the wheels may lie where the user cannot read. So a server runs once as root before:
    that loads the modules, and the programs are put within reach if they were not.
    """
    with EmbeddedValkey():
        place = OwnedFolder.create("postgres", server_account())
        bin_dir = postgres_bin_dir(None, server_account(), place)
        place.remove()
    root = Path(os.environ["REPLANK_RUNTIME_DIR"])
    copies = [str(path) for path in root.glob("installed-valkey-*")]
    os.environ["PATH"] = os.pathsep.join([*copies, os.environ["PATH"]])
    entry = pwd.getpwnam(user)
    own_root = root / user
    own_root.mkdir()
    os.chown(own_root, entry.pw_uid, entry.pw_gid)
    os.environ["REPLANK_RUNTIME_DIR"] = str(own_root)
    os.setgroups([])
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    return bin_dir


def main(kinds: str, afterwards: str, user: str | None = None) -> None:
    """Start, report, obey."""
    binaries = become(user) if user is not None else None
    servers: list[EmbeddedPostgres | EmbeddedValkey] = []
    for kind in kinds.split(","):
        postgres = EmbeddedPostgres(durable=False, binaries=binaries) if kind == "postgres" else None
        servers.append(postgres or EmbeddedValkey())
        servers[-1].start()
    print(json.dumps([asdict(facts(server)) for server in servers]), flush=True)
    if afterwards == "wait":
        sys.stdin.read()
    if afterwards == "fork":
        child = os.fork()
        if child == 0:
            for server in servers:
                server.stop()
            sys.exit()
        os.waitpid(child, 0)
        with contextlib.suppress(EmbeddedServerError):
            print(json.dumps([asdict(facts(server)) for server in servers]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
