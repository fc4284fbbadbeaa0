"""Whether a database is in the same state as before: its catalogue as pg_dump writes it, every row, every sequence."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from producer.gates.programs import program_for, run_program
from replank.errors import NeedsOperator
from sql.measurement.checksums import Checksums, Name, read_checksums
from sql.session.connection import connect

LINES_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class DatabaseState:
    """A database at one moment, by tools that share no code with what changes it."""

    catalogue: str
    contents: Checksums


def read_database_state(url: str, major: int) -> DatabaseState:
    """No other session may write to the database. Raises NeedsOperator where pg_dump fails."""
    tool = program_for("pg_dump", major)
    done = run_program(tool, "--schema-only", "--no-password", url=url)
    if not done.good:
        raise NeedsOperator(f"could not read the clone's catalogue; {tool.words} reports: {done.last_words}")
    # Newer versions guard a dump by a random word.
    lines = [line for line in done.output.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
    with connect(url, name="rehearsal") as connection:
        return DatabaseState(catalogue="\n".join(lines), contents=read_checksums(connection))


def differences(before: DatabaseState, after: DatabaseState, *, rebuilt: Collection[Name]) -> list[str]:
    """What is not as it was. Rows of `rebuilt` caches are left out: these hold what their query gives."""
    told = _changes("rows of", before.contents.tables, after.contents.tables, set(rebuilt))
    told += _changes("sequence", before.contents.sequences, after.contents.sequences, set())
    return told + _lines(before.catalogue, after.catalogue)


def _lines(before: str, after: str) -> list[str]:
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=0)
    changed = [line for line in found if not line.startswith(("---", "+++", "@@", "+--")) and line[1:].strip()]
    return [f"catalogue: {line}" for line in changed[:LINES_SHOWN]]


def _changes(what: str, before: Mapping[Name, object], after: Mapping[Name, object], left_out: set[Name]) -> list[str]:
    names = sorted((before.keys() | after.keys()) - left_out)
    return [
        f"{what} {'.'.join(name)}: {before.get(name)} before, {after.get(name)} after"
        for name in names
        if before.get(name) != after.get(name)
    ]
