"""Whether a backup can be read from its first byte to its last."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from producer.gates.backups import Backup, unreadable_files
from producer.gates.programs import program, program_for, run_program
from replank.errors import NeedsOperator
from sql.catalogue.backup_contents import Place

WAL_FILE = re.compile(r"[0-9A-F]{24}")
SEGMENT_SIZE_AT = 32
"""Where the first page of a WAL file says how long the file is, in every version."""

BLOCK_BYTES = 1 << 20


def verify(backup: Backup, place: Place) -> str:
    """Read all of it. Returns how that was done; raises NeedsOperator where anything is missing or changed."""
    try:
        return _verify_base(backup) if backup.kind == "base" else _verify_dump(backup, place)
    except OSError as error:
        raise NeedsOperator(f"{error.filename}: {error.strerror}") from None


def _verify_base(backup: Backup) -> str:
    """Each file against the manifest, and the WAL that the backup needs."""
    # Its pg_waldump reads the WAL of its own version only.
    tool = program("pg_verifybackup", fits=lambda major: major == backup.major, wanted=str(backup.major))
    done = run_program(tool, "--exit-on-error", backup.path)
    if not done.good:
        raise NeedsOperator(f"{backup.path} is damaged; {tool.words} reports: {done.last_words}")
    for file in _short_wal(backup):
        raise NeedsOperator(f"{file} is damaged: it is truncated")
    return f"{tool.words}: every file matches the manifest, and its WAL can be read"


def _short_wal(backup: Backup) -> Iterator[Path]:
    """WAL files that end early: pg_waldump looks no further than the backup's end."""
    for file in sorted((backup.path / "pg_wal").iterdir()):
        if WAL_FILE.fullmatch(file.name):
            with file.open("rb") as read:
                head = read.read(SEGMENT_SIZE_AT + 4)
            if int.from_bytes(head[SEGMENT_SIZE_AT:], sys.byteorder) != file.stat().st_size:
                yield file


def _verify_dump(backup: Backup, place: Place) -> str:
    """Checksums, and everything read through: `pg_restore --list` reads no more than the head of a file."""
    tool = program_for("pg_restore", place.major)
    sums = sums_file(backup.path)
    if not sums.is_file():
        raise NeedsOperator(
            f"{backup.path} has no checksum file, and a dump has no checksum of its own, so a damaged byte might not "
            f"be noticed. When a dump is made, write its checksums with `sha256sum` into {sums.name}"
        )
    _compare_sums(backup, sums)
    for empty in unreadable_files(backup):
        raise NeedsOperator(f"{empty} is damaged: it is empty")
    done = run_program(tool, "--file", os.devnull, backup.path)
    if not done.good:
        raise NeedsOperator(f"{backup.path} is damaged; {tool.words} reports: {done.last_words}")
    return f"{tool.words}: read to the end, and every file has its SHA-256"


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
        raise NeedsOperator(f"{backup.path} is damaged: {missing[0]} of {sums.name} does not exist")
    for name, file in present.items():
        if name not in known:
            raise NeedsOperator(f"{backup.path}: {sums.name} has no checksum of {name}")
        if known[name] != _sha256(file):
            raise NeedsOperator(f"{backup.path} is damaged: {name} does not have the checksum in {sums.name}")


def _sha256(file: Path) -> str:
    told = hashlib.sha256()
    with file.open("rb") as read:
        while block := read.read(BLOCK_BYTES):
            told.update(block)
    return told.hexdigest()
