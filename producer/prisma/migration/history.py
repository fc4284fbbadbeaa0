"""Prisma's migration history: a folder for the migration, and the row that says the live database has it."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg.sql import Composable

from replank.errors import WrongUse
from sql.catalogue import prisma
from sql.session.connection import Connection, run

NAME = "replank"
SCRIPT = "migration.sql"
BASELINE = "baseline.sql"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A migration's folder, written. `new` is false where it was there already with this very content."""

    path: Path
    checksum: str
    new: bool

    @property
    def name(self) -> str:
        return self.path.name


def write_folder(migrations: Path, script: str, *, default_schema: str, now: datetime | None = None) -> Folder:
    """Write `<timestamp>_replank/migration.sql` with its baseline; a folder with the same script is taken as it is.

    Raises WrongUse if `migrations` is no folder or cannot be written.
    """
    if not migrations.is_dir():
        raise WrongUse(f"{migrations} is no folder; name the one with Prisma's migrations (prisma/migrations).")
    for there in sorted(migrations.glob(f"*_{NAME}/{SCRIPT}")):
        if there.read_text(encoding="utf-8") == script:
            return Folder(path=there.parent, checksum=checksum_of(script), new=False)
    path = migrations / f"{_after_all(migrations, now or datetime.now(UTC))}_{NAME}"
    made = Folder(path=path, checksum=checksum_of(script), new=True)
    try:
        path.mkdir()
        (path / SCRIPT).write_text(script, encoding="utf-8", newline="\n")
        (path / BASELINE).write_text(_baseline_script(made, default_schema), encoding="utf-8", newline="\n")
    except OSError as error:
        raise WrongUse(f"{path}: the migration cannot be written: {error.strerror}") from None
    return made


def checksum_of(script: str) -> str:
    """What Prisma compares a migration's file with: SHA-256, in hex."""
    return hashlib.sha256(script.encode()).hexdigest()


def _after_all(migrations: Path, now: datetime) -> str:
    """A timestamp that sorts behind all folders there are: migrations are applied in the order of their names."""
    stamp = f"{now:%Y%m%d%H%M%S}"
    last = max((folder.name[:14] for folder in migrations.iterdir() if folder.name[:14].isdigit()), default="")
    return stamp if stamp > last else str(int(last) + 1)


def _baseline_script(folder: Folder, default_schema: str) -> str:
    row = _row(folder, None if default_schema == "public" else default_schema).as_string(None)
    return f"-- Says that the live database has this migration: Replank has migrated it.\n{row};\n"


def _row(folder: Folder, schema: str | None) -> Composable:
    # The same folder gives the same id: a baseline that two people apply is one row.
    row_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"replank:{folder.name}:{folder.checksum}"))
    return prisma.baseline(schema, row_id=row_id, name=folder.name, checksum=folder.checksum)


def record(connection: Connection, folder: Folder, default_schema: str) -> bool:
    """Say in the database that it has the migration. False if it knew.

    Raises WrongUse where Prisma keeps no history there, or knows the migration by another checksum.
    """
    if not prisma.has_history(connection, default_schema):
        raise WrongUse(
            f"Schema {default_schema} has no table _prisma_migrations: Prisma keeps no history here, so there is "
            "nothing to record. (Name another schema with --schema-name if its URL says ?schema=….)"
        )
    known = prisma.recorded(connection, default_schema).get(folder.name)
    if known not in (None, folder.checksum):
        raise WrongUse(f"Migration {folder.name} is recorded with another content. Look at both before you go on.")
    return run(connection, _row(folder, default_schema)).rowcount == 1
