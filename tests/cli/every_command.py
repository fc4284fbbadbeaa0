"""Every command of the console, with the least that it has to be given."""

from collections.abc import Mapping
from pathlib import Path

from support.runs.processes import Site

CALLS: Mapping[str, tuple[str, ...]] = {
    "alembic": ("{plan}",),
    "catalogue-diff": (),
    "check": ("{plan}",),
    "compile": ("{plan}", "--out", "{out}"),
    "config": (),
    "cutover": (),
    "django": ("{plan}", "--settings", "no.settings"),
    "demo": ("--rows", "1000"),
    "explain": ("1",),
    "exporter": ("--port", "0"),
    "failures": (),
    "finish": ("--yes",),
    "fleet pause": ("--targets", "{targets}"),
    "fleet resume": ("--targets", "{targets}"),
    "fleet rollback": ("--targets", "{targets}", "--yes"),
    "fleet run": ("{plan}", "--targets", "{targets}", "--out", "{out}"),
    "fleet status": ("--targets", "{targets}", "--out", "{out}"),
    "flower": ("--open-on-loopback", "--port", "0", "--state", "{out}"),
    "gates": ("{plan}",),
    "indexes": (),
    "inspect": ("--out", "{out}", "--force"),
    "notify": ("--once",),
    "panic": (),
    "partitions": ("{plan}",),
    "pause": (),
    "prisma": ("{plan}", "--schema", "{schema}", "--out", "{out}"),
    "quarantine export": ("--out", "{out}"),
    "quarantine fix": ("{csv}",),
    "quarantine list": (),
    "quarantine return": (),
    "rehearse": ("{plan}",),
    "report": ("--out", "{out}"),
    "resume": (),
    "retry": ("--all",),
    "rollback": ("--yes",),
    "run": ("{plan}",),
    "scale": ("2",),
    "skip": ("1", "--reason", "tried"),
    "status": (),
    "throttle": ("--max-window", "2"),
    "verify": (),
    "worker": (),
}

SERVICES = frozenset({"worker", "flower", "exporter"})
"""They wait for a database that does not answer."""

OWN_SERVERS = frozenset({"demo"})
WITHOUT_RUN = frozenset(
    {
        "config",
        "inspect",
        "check",
        "compile",
        "indexes",
        "gates",
        "partitions",
        "prisma",
        "rehearse",
        "alembic",
        "django",
    }
)
OF_A_FLEET = frozenset(name for name in CALLS if name.startswith("fleet"))


def call_of(name: str, site: Site, **given: str | Path) -> list[str]:
    """The command's words, with files of the site where no other is `given`."""
    files: dict[str, str | Path] = {
        "plan": site.plan,
        "out": site.folder / "written",
        "targets": site.folder / "targets",
        "schema": site.folder / "schema.prisma",
        "csv": site.folder / "rows.csv",
    }
    return [*name.split(), *(word.format(**{**files, **given}) for word in CALLS[name])]


def make_files(site: Site, *, target: str) -> None:
    """What the commands read beside a plan; the fleet's only database is at `target`."""
    (site.folder / "schema.prisma").write_text("model a {\n  id String @id\n}\n", encoding="utf-8")
    (site.folder / "rows.csv").write_text("table,key\n", encoding="utf-8")
    targets = site.folder / "targets"
    targets.touch(0o600)
    targets.write_text(f"one {target}\n", encoding="utf-8")
