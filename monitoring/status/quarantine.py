"""The quarantined rows, each with the column, the value and the reason."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from replank.errors import WrongUse
from sql.ledger.runs.runs import Run
from sql.ledger.tables import quarantines, tables
from sql.quarantine.quarantined_rows import read_quarantined
from sql.session.connection import Connection

FIELDS = ("table", "key", "column", "value", "reason", "since", "row")


def quarantined_rows(connection: Connection, run: Run) -> dict[str, int]:
    """Table → quarantined rows, as they were last resolved; tables without any are left out."""
    counted = quarantines.quarantined_rows(connection, run.run_id)
    if not any(counted.values()):
        return {}
    return {
        table.spec.full_name: counted[table.table_no]
        for table in tables.read_tables(connection, run.run_id)
        if counted.get(table.table_no)
    }


def read_quarantine(connection: Connection, run: Run, *, only: str | None = None) -> Iterator[dict[str, Any]]:
    """Every quarantined row, table by table, in constant memory. `key` and `row` are as they are in JSON.

    `only` names the one table that is asked for.
    """
    present = quarantines.quarantined_rows(connection, run.run_id)
    for table in tables.read_tables(connection, run.run_id):
        if table.table_no in present and only in (None, table.spec.full_name):
            for found in read_quarantined(connection, table.spec):
                yield {"table": table.spec.full_name, **found}


def to_json(found: dict[str, Any]) -> dict[str, Any]:
    since = found["since"]
    return {**found, "since": since.isoformat() if isinstance(since, datetime) else since}


def export_csv(connection: Connection, run: Run, path: Path) -> int:
    """Write one line for each row; `key` and `row` are JSON. Returns how many. Raises WrongUse if that fails."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            return write_csv(connection, run, file)
    except OSError as error:
        raise WrongUse(f"{path}: the file cannot be written: {error.strerror}") from None


def write_csv(connection: Connection, run: Run, file: TextIO) -> int:
    """The same into a file that is open, whose newlines are left as they are."""
    count = 0
    writer = csv.DictWriter(file, fieldnames=FIELDS)
    writer.writeheader()
    for found in read_quarantine(connection, run):
        document = {name: json.dumps(found[name], ensure_ascii=False) for name in ("key", "row")}
        writer.writerow({**to_json(found), **document})
        count += 1
    return count
