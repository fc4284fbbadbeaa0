"""Backups: what kind one is, when and of what it was taken, by its own words: times of files say nothing."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from producer.gates.programs import program_for, run_program
from replank.errors import NeedsOperator
from sql.catalogue.backup_contents import Place

Kind = Literal["base", "dump"]

MANIFEST = "backup_manifest"
TABLES_SHOWN = 5

_CREATED = re.compile(r"^; Archive created at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", re.MULTILINE)
_DATABASE = re.compile(r"^;\s+dbname: (.*)$", re.MULTILINE)
_ROWS = re.compile(r"^\d+; \d+ (\d+) TABLE DATA ", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A backup by its own words. `major` is the version of a base backup's server."""

    path: Path
    kind: Kind
    taken_at: datetime
    major: int = 0

    @property
    def files(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        return sorted(each for each in self.path.rglob("*") if each.is_file())

    @property
    def fingerprint(self) -> str:
        """Changes with name, size or time of any file."""
        told = hashlib.sha256()
        for file in self.files:
            state = file.stat()
            told.update(f"{file.relative_to(self.path.parent)}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
        return told.hexdigest()


def kind_of(path: Path) -> Kind | None:
    """None where this is no backup. Raises NeedsOperator for one in tar format."""
    if path.is_file():
        with path.open("rb") as file:
            return "dump" if file.read(5) == b"PGDMP" else None
    if (path / MANIFEST).is_file():
        if not (path / "PG_VERSION").is_file():
            raise NeedsOperator(
                f"{path}: a base backup in tar format cannot be verified completely: its WAL is not in the manifest. "
                "Unpack it, or take one with `pg_basebackup --format=plain`"
            )
        return "base"
    return "dump" if (path / "toc.dat").is_file() else None


def newest_backup(path: Path, place: Place) -> Backup:
    """The backup at `path`, or the newest of those that lie in it. Raises NeedsOperator, saying what is wrong."""
    try:
        if not path.exists():
            raise NeedsOperator(f"{path} does not exist, or cannot be read from this machine")
        if kind_of(path) is not None:
            return read_backup(path, place)
        found, wrong = _read_all(path, place) if path.is_dir() else ([], [])
    except OSError as error:
        raise NeedsOperator(f"{error.filename}: {error.strerror}") from None
    if not found:
        raise NeedsOperator(
            wrong[0] if wrong else f"{path} is neither a base backup nor a dump that pg_restore can read"
        )
    return max(found, key=lambda each: each.taken_at)


def _read_all(folder: Path, place: Place) -> tuple[list[Backup], list[str]]:
    """The backups in a folder, and what is wrong with those that cannot be read."""
    found: list[Backup] = []
    wrong: list[str] = []
    for child in sorted(folder.iterdir()):
        try:
            if kind_of(child) is not None:
                found.append(read_backup(child, place))
        except NeedsOperator as error:
            wrong.append(str(error))
    return found, wrong


def read_backup(path: Path, place: Place) -> Backup:
    """What a backup says of itself. Raises NeedsOperator where it is damaged, or of another database."""
    return _read_base(path, place) if kind_of(path) == "base" else _read_dump(path, place)


def _read_base(path: Path, place: Place) -> Backup:
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        files = {each["Path"]: each for each in manifest["Files"] if "Path" in each}
        told = files["backup_label"]["Last-Modified"]
        taken_at = datetime.strptime(told, "%Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC)
        major = int((path / "PG_VERSION").read_text().strip())
        control = (path / "global" / "pg_control").read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NeedsOperator(f"{path}: this base backup is damaged: {error!r}") from None
    # The first field of the file in every version of PostgreSQL; pg_verifybackup knows the file's checksum.
    identifier = str(int.from_bytes(control[:8], sys.byteorder))
    if identifier != place.system_identifier:
        raise NeedsOperator(
            f"{path} is a backup of another server: its system identifier is {identifier}, this one's is "
            f"{place.system_identifier}"
        )
    if any(name.rpartition("/")[2].startswith("INCREMENTAL.") for name in files):
        raise NeedsOperator(f"{path} is an incremental backup, which is not complete: use pg_combinebackup")
    if not any(f"/{place.database_oid}/" in name for name in files):
        raise NeedsOperator(f"{path} was taken before database {place.database} was created")
    return Backup(path=path, kind="base", taken_at=taken_at, major=major)


def _read_dump(path: Path, place: Place) -> Backup:
    tool = program_for("pg_restore", place.major)
    listed = run_program(tool, "--list", path)
    created, database = _CREATED.search(listed.output), _DATABASE.search(listed.output)
    if not listed.good or created is None or database is None:
        raise NeedsOperator(f"{path}: {tool.words} cannot read this dump: {listed.last_words}")
    if database.group(1) != place.database:
        raise NeedsOperator(f"{path} is a dump of database {database.group(1)}, not of {place.database}")
    _refuse_missing(path, place, {int(oid) for oid in _ROWS.findall(listed.output)})
    # An archive keeps its time without a zone: that of the machine that made it, which is taken to be this one's.
    taken_at = datetime.strptime(created.group(1), "%Y-%m-%d %H:%M:%S").astimezone()
    return Backup(path=path, kind="dump", taken_at=taken_at)


def _refuse_missing(path: Path, place: Place, oids: set[int]) -> None:
    """A dump does not name its server, but each of its tables by its oid."""
    missing = sorted(name for oid, name in place.tables.items() if oid not in oids)
    if missing and len(missing) == len(place.tables):
        raise NeedsOperator(
            f"{path} has no rows of this database's tables: it is of another database, or has no rows at all"
        )
    if missing:
        more = f" and {len(missing) - TABLES_SHOWN} more" if len(missing) > TABLES_SHOWN else ""
        raise NeedsOperator(f"{path} lacks the rows of {', '.join(missing[:TABLES_SHOWN])}{more}")


def unreadable_files(backup: Backup) -> Iterator[Path]:
    """Compressed files of a directory dump without content: pg_restore takes such a one for an empty table."""
    if backup.kind == "dump" and backup.path.is_dir():
        yield from (file for file in backup.files if file.suffix == ".gz" and not file.stat().st_size)
