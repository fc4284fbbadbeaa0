"""Backups that the tool makes, verified before they count."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from producer.gates.backups import Backup, read_backup
from producer.gates.programs import program_for, run_program
from producer.gates.verifying_backups import verify, write_sums
from replank.errors import NeedsOperator, WrongUse
from sql.access.roles import acting_role
from sql.catalogue.backup_contents import Place, read_place
from sql.ledger.runs import gate_records
from sql.session.connection import Connection

DUMP_JOBS = 2

Method = Literal["base", "dump"]


def make_backup(connection: Connection, url: str, plan_digest: str, *, out: Path, method: Method, by: str) -> Backup:
    """Take a backup into a new folder in `out`, verify it and write it down. Raises NeedsOperator, WrongUse."""
    place = read_place(connection)
    target = out.absolute() / f"{place.database}-{method}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if target.exists():
        raise WrongUse(f"{target} already exists. Wait a second, then run the command again.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(f"{out}: could not create the folder: {error.strerror}") from None
    _take(url, target, method, place, role=acting_role(connection))
    backup = read_backup(target, place)
    if method == "dump":
        write_sums(backup)
    how = verify(backup, read_place(connection))
    evidence = {"path": str(target), "kind": method, "verified": how, "taken_at": backup.taken_at.isoformat()}
    gate_records.add_record(connection, plan_digest, "backup", "backup", by=by, evidence=evidence)
    known = {"path": str(target), "fingerprint": backup.fingerprint, "how": how}
    gate_records.add_record(connection, plan_digest, "backup", "verified", by=by, evidence=known)
    return backup


def _take(url: str, target: Path, method: Method, place: Place, *, role: str | None) -> None:
    """Run the server's own tool, acting as `role` if any. A newer one would do too, an older one would not."""
    name = "pg_basebackup" if method == "base" else "pg_dump"
    tool = program_for(name, place.major)
    if method == "base":
        arguments = ["--pgdata", str(target), "--checkpoint", "fast", "--wal-method", "stream", "--label", "replank"]
    else:
        arguments = ["--format", "directory", "--jobs", str(DUMP_JOBS), "--file", str(target)]
        arguments += [] if role is None else ["--role", role]
    done = run_program(tool, *arguments, "--no-password", url=url)
    if not done.good:
        hint = " `--kind dump` does not need the REPLICATION privilege." if method == "base" else ""
        raise NeedsOperator(f"No backup was made; {tool.words} reports: {done.last_words}.{hint}")
