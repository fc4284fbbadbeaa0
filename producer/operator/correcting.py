"""Corrected values for rows that are quarantined, and rows that are to be converted again.

Both go the normal way: an UPDATE of the live table is captured like any of the application's, and the next drain takes
the row out of quarantine, with all that were there for its sake.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from producer.operator.operator import Operator
from producer.operator.run_for_action import note, refuse_rolling_back
from producer.operator.scope import Scope
from replank.errors import NeedsOperator, WrongUse
from replank.values.states import RunState, TableState
from replank.values.table_spec import TableSpec
from replank.wording import counted, verb
from sql.ledger.runs.runs import Run
from sql.ledger.tables import conversion_sets, quarantines, tables
from sql.quarantine.correct import Change, change_with_all_that_refers, converts
from sql.quarantine.release import Corrected, Correction, correct, kept_value, recheck
from sql.session.connection import Connection

NEEDED = ("table", "key", "column", "value")


@dataclass(frozen=True, kw_only=True)
class Line:
    """The value that a column of a row shall have; `number` is its place in a file, where it is from one."""

    number: int | None = None
    table: str
    key: tuple[str, ...]
    column: str
    value: str

    @property
    def where(self) -> str:
        row = f"{self.table} {', '.join(self.key)}"
        return row if self.number is None else f"line {self.number} ({row})"


def fix(connection: Connection, run: Run, given: Iterable[Line], *, by: Operator, source: str) -> str:
    """Write corrected values into the live tables: all or none. `source` says where they are from.

    Lines whose value is the one that was kept are left alone. Raises WrongUse with the line that is not usable.
    """
    refuse_rolling_back(run)
    specs = _open_tables(connection, run)
    lines = list(given)
    try:
        with connection.transaction():
            connection.execute("SET CONSTRAINTS ALL DEFERRED")
            # The application's triggers fire, as on its own writes, and find what they name.
            connection.execute("SET LOCAL search_path TO DEFAULT")
            wanted = _wanted(connection, specs, lines)
            _correct(connection, wanted)
            changed = sum(len(row.lines) for row in wanted)
            note(connection, run, by, "quarantine", subject=source, message=f"values corrected: {changed}")
    except psycopg.Error as error:
        if connection.closed:
            raise
        detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
        raise WrongUse(
            f"{source}: nothing was changed: {error.diag.message_primary or error}{detail}. Correct a key and all "
            "rows that refer to it together, from one file. No row may have changed since the export."
        ) from None
    return (
        f"Run {run.run_id}: values corrected in the live tables: {changed}; not changed: {len(lines) - changed}. The "
        "next drain copies these rows, and those that were quarantined because of them. See `replank quarantine "
        "list`."
    )


def fix_one(connection: Connection, run: Run, line: Line, *, by: Operator, source: str) -> str:
    """Write one corrected value into the live table, and into every row that refers to it, as a file would together.

    Raises WrongUse where the value does not convert either, or the row is another one by now.
    """
    refuse_rolling_back(run)
    specs = _open_tables(connection, run)
    spec, before = _kept(connection, specs, line)
    if line.value == (before or ""):
        raise WrongUse(f"{line.where}: the value is not corrected.")
    change = Change(spec=spec, key=line.key, column=line.column, before=before, value=line.value)
    try:
        with connection.transaction():
            connection.execute("SET CONSTRAINTS ALL DEFERRED")
            # The application's triggers fire, as on its own writes, and find what they name.
            connection.execute("SET LOCAL search_path TO DEFAULT")
            if not converts(connection, change):
                raise WrongUse(f"{line.where}: {line.value!r} does not convert either. Nothing was changed.")
            keys = [key for each in conversion_sets.read_sets(connection, run.run_id) for key in each.foreign_keys]
            everyone = [table.spec for table in tables.read_tables(connection, run.run_id)]
            changed = change_with_all_that_refers(connection, change, everyone, keys)
            if not changed:
                raise WrongUse(
                    f"{line.where}: the live row has changed since the export. Export again. Nothing was changed."
                )
            words = _changed_words(changed, line.table)
            note(connection, run, by, "quarantine", subject=source, message=f"values corrected: {words}")
    except psycopg.Error as error:
        if connection.closed:
            raise
        detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
        raise WrongUse(f"{line.where}: nothing was changed: {error.diag.message_primary or error}{detail}.") from None
    return (
        f"Run {run.run_id}: values corrected in the live tables: {words}. The next drain copies these rows, and "
        "those that were quarantined because of them."
    )


def _changed_words(changed: Mapping[str, int], table: str) -> str:
    """`3 (public.letter 2: rows that refer to it)`."""
    others = {name: rows - (name == table) for name, rows in changed.items() if rows > (name == table)}
    total = sum(changed.values())
    if not others:
        return f"{total:,}"
    told = ", ".join(f"{name} {rows:,}" for name, rows in others.items())
    return f"{total:,} ({told}: rows that refer to it)"


@dataclass(kw_only=True)
class _Row:
    """The lines of one row, and what its columns had when it was quarantined."""

    spec: TableSpec
    key: tuple[str, ...]
    lines: list[Line] = field(default_factory=list)
    before: dict[str, str | None] = field(default_factory=dict)


def _wanted(connection: Connection, specs: Mapping[str, TableSpec], lines: Sequence[Line]) -> list[_Row]:
    """What is to be changed, row by row. Raises WrongUse with the first line that names nothing that is kept."""
    found: dict[tuple[str, tuple[str, ...]], _Row] = {}
    for line in lines:
        spec, before = _kept(connection, specs, line)
        if line.value == (before or ""):
            continue
        row = found.setdefault((line.table, line.key), _Row(spec=spec, key=line.key))
        if line.column in row.before:
            raise WrongUse(f"{line.where}: column {line.column} of this row is listed twice.")
        row.lines.append(line)
        row.before[line.column] = before
    return list(found.values())


def _kept(connection: Connection, specs: Mapping[str, TableSpec], line: Line) -> tuple[TableSpec, str | None]:
    """The table of a line, and what its column had when the row was quarantined. Raises WrongUse where it is not."""
    spec = specs.get(line.table)
    if spec is None:
        raise WrongUse(
            f"{line.where}: no row of this table is quarantined. Quarantined tables: {', '.join(specs) or 'none'}."
        )
    if line.column not in {column.name for column in spec.columns} or len(line.key) != len(spec.key):
        raise WrongUse(f"{line.where}: the table has no column {line.column}, or the key does not match.")
    kept, before = kept_value(connection, spec, line.key, line.column)
    if not kept:
        raise WrongUse(f"{line.where}: this row is not quarantined any more. Export again.")
    return spec, before


def _correct(connection: Connection, wanted: Sequence[_Row]) -> None:
    """In one statement. Raises WrongUse with the first row that cannot be changed so; the caller takes all back."""
    if not wanted:
        return
    corrections = [
        Correction(
            spec=row.spec, key=row.key, before=row.before, values={line.column: line.value for line in row.lines}
        )
        for row in wanted
    ]
    for row, outcome in zip(wanted, correct(connection, corrections), strict=True):
        where = row.lines[0].where
        if outcome is Corrected.NOT_THERE:
            raise WrongUse(f"{where}: the live row has changed since the export. Export again. Nothing was changed.")
        if outcome is Corrected.STILL_INVALID:
            texts = ", ".join(repr(line.value) for line in row.lines)
            raise WrongUse(f"{where}: {texts} does not convert either. Nothing was changed.")


def give_back(connection: Connection, run: Run, scope: Scope, *, by: Operator) -> str:
    """Let the next drain convert quarantined rows again: those that convert now are copied."""
    refuse_rolling_back(run)
    specs = _open_tables(connection, run)
    chosen = [spec for name, spec in specs.items() if scope.name in (None, name)]
    if not chosen:
        raise WrongUse(
            f"No row of {scope.words} is quarantined. Tables with quarantined rows: {', '.join(specs) or 'none'}."
        )
    with connection.transaction():
        count = sum(recheck(connection, spec) for spec in chosen)
        note(
            connection,
            run,
            by,
            "quarantine",
            subject=scope.words,
            message=f"{counted(count, 'row', 'is')} converted again",
        )
    return (
        f"Run {run.run_id}: {counted(count, 'row')} of {', '.join(spec.full_name for spec in chosen)} "
        f"{verb(count, 'is')} in the change log: the next drain converts them again, and copies those that convert "
        "now."
    )


def _open_tables(connection: Connection, run: Run) -> dict[str, TableSpec]:
    """Tables with quarantined rows that still have a change log. Raises NeedsOperator after the cutover."""
    if run.state not in (RunState.RUNNING, RunState.NEEDS_OPERATOR):
        raise _too_late(run)
    aside = quarantines.quarantined_rows(connection, run.run_id)
    found = [t for t in tables.read_tables(connection, run.run_id) if aside.get(t.table_no)]
    if any(t.state in (TableState.SWAPPED, TableState.VALIDATING, TableState.DONE) for t in found):
        raise _too_late(run)
    return {t.spec.full_name: t.spec for t in found}


def _too_late(run: Run) -> NeedsOperator:
    return NeedsOperator(
        f"Run {run.run_id} has swapped its tables, so the change log does not exist any more. Nothing was changed. "
        "The rows are in the past tables (schema replank_past) and in `replank quarantine export`: insert them, "
        "corrected, into the new tables by hand."
    )


def read_corrections(path: Path) -> Iterator[Line]:
    """A file as `quarantine export` writes it. Raises WrongUse with the line that cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise WrongUse(
                    f"{path}: the column {', '.join(missing)} is missing. Use the columns that `quarantine export` "
                    "writes."
                )
            for found in reader:
                yield _line(path, reader.line_num, found)
    except (OSError, UnicodeError, csv.Error) as error:
        raise WrongUse(f"{path}: could not read the file: {error}") from None


def _line(path: Path, number: int, found: dict[str, str]) -> Line:
    try:
        key = json.loads(found["key"])
    except (TypeError, ValueError):
        key = None
    if not isinstance(key, list) or not all(isinstance(part, str) for part in key) or None in found.values():
        raise WrongUse(f"{path}, line {number}: the key is not a JSON array of texts, or a field is missing.")
    return Line(number=number, table=found["table"], key=tuple(key), column=found["column"], value=found["value"])
