"""Whether a backup can be read from its first byte to its last."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from producer.gates.backups import Backup, unreadable_files
from producer.gates.programs import program, program_for, run_program
from replank.errors import NeedsPerson
from sql.backups import Place

CHECKED_STREAMS = ("gzip", "-1", *map(str, range(1, 10)))
"""Compressions whose streams carry a checksum, as `pg_restore --list` names them: up to version 15 by their level."""

BLOCK_BYTES = 1 << 20


def verify(backup: Backup, place: Place) -> str:
    """Read all of it. Returns how that was done; raises NeedsPerson where anything is missing or changed."""
    try:
        return _verify_base(backup) if backup.kind == "base" else _verify_dump(backup, place)
    except OSError as error:
        raise NeedsPerson(f"{error.filename}: {error.strerror}") from None


def _verify_base(backup: Backup) -> str:
    """Each file against the manifest, and the WAL that the backup needs."""
    # Its pg_waldump reads the WAL of its own version only.
    tool = program("pg_verifybackup", fits=lambda major: major == backup.major, wanted=str(backup.major))
    done = run_program(tool, "--exit-on-error", backup.path)
    if not done.good:
        raise NeedsPerson(f"{backup.path} is damaged; {tool.words} says: {done.last_words}")
    return f"{tool.words}: every file and the WAL agree with the manifest"


def _verify_dump(backup: Backup, place: Place) -> str:
    """Checksums where there are some, and everything read through: a list comes from the head of the file alone."""
    tool = program_for("pg_restore", place.major)
    sums = sums_file(backup.path)
    if sums.is_file():
        _compare_sums(backup, sums)
    elif backup.compression not in CHECKED_STREAMS:
        raise NeedsPerson(
            f"{backup.path} (compression: {backup.compression or 'unknown'}) has no checksums, so a damaged byte would "
            f"not be seen. Dump with gzip, or write checksums when it is made: `sha256sum` into {sums.name}"
        )
    for empty in unreadable_files(backup):
        raise NeedsPerson(f"{empty} is damaged: it is empty")
    done = run_program(tool, "--file", os.devnull, backup.path)
    if not done.good:
        raise NeedsPerson(f"{backup.path} is damaged; {tool.words} says: {done.last_words}")
    protection = "with the SHA-256 of every file" if sums.is_file() else "with the checksums of its gzip streams"
    return f"{tool.words}: read to the end, {protection}"


def sums_file(path: Path) -> Path:
    """Where checksums of a dump lie: beside it, as `sha256sum` writes them from there."""
    return path.with_name(f"{path.name}.sha256")


def write_sums(backup: Backup) -> None:
    """Checksums of every file of a backup that was made a moment ago."""
    lines = [f"{_sha256(file)}  {file.relative_to(backup.path.parent)}\n" for file in backup.files]
    sums_file(backup.path).write_text("".join(lines), encoding="utf-8")


def _compare_sums(backup: Backup, sums: Path) -> None:
    known: dict[str, str] = {}
    for line in sums.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.partition(" ")
        known[os.path.normpath(name.lstrip(" *"))] = digest.strip().lower()
    present = {str(file.relative_to(backup.path.parent)): file for file in backup.files}
    missing = sorted(known.keys() - present.keys())
    if missing:
        raise NeedsPerson(f"{backup.path} is damaged: {missing[0]} is not there, and {sums.name} names it")
    for name, file in present.items():
        if name not in known:
            raise NeedsPerson(f"{backup.path}: {sums.name} has no checksum of {name}")
        if known[name] != _sha256(file):
            raise NeedsPerson(f"{backup.path} is damaged: {name} does not have the checksum in {sums.name}")


def _sha256(file: Path) -> str:
    told = hashlib.sha256()
    with file.open("rb") as read:
        while block := read.read(BLOCK_BYTES):
            told.update(block)
    return told.hexdigest()
