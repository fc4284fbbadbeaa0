"""The journal: what acknowledged transactions left in the database, and nothing that is uncertain."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.clients.adoption import Beginning
from demo.clients.model import Model
from demo.clients.tables import Key, Row


@dataclass(frozen=True, kw_only=True)
class Journal:
    """The expected final content.

    data_set: whose tables these are; rows: table -> rows that must be there, with these columns as the
    server prints them; gone: table -> keys that must not be there; counters: (table, column, id, value);
    totals: table -> number of all its rows, for tables where no transaction's outcome is unknown.
    """

    data_set: str
    rows: dict[str, list[Row]]
    gone: dict[str, list[Key]]
    counters: list[tuple[str, str, str, int]]
    totals: dict[str, int]

    def entries(self) -> int:
        """How many facts the journal states, the totals not counted."""
        rows = sum(len(rows) for rows in self.rows.values())
        return rows + sum(len(keys) for keys in self.gone.values()) + len(self.counters)

    def save(self, path: Path) -> None:
        """Write the journal as one JSON object."""
        path.write_text(json.dumps(vars(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Journal":
        """Read what `save` wrote."""
        stored = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            data_set=stored["data_set"],
            rows=stored["rows"],
            gone={table: [tuple(key) for key in keys] for table, keys in stored["gone"].items()},
            counters=[(table, column, row_id, value) for table, column, row_id, value in stored["counters"]],
            totals=stored["totals"],
        )


def write_journal(data_set: str, models: Sequence[Model], beginning: Beginning) -> Journal:
    """All clients' models together. None of them may be in a transaction."""
    names = list(beginning.totals)
    rows: dict[str, list[Row]] = {name: [] for name in names}
    gone: dict[str, list[Key]] = {name: [] for name in names}
    uncertain: set[str] = set()
    counters = dict(beginning.counters)
    for model in models:
        uncertain.update(table for table, _ in model.unknown)
        for table, by_key in model.rows.items():
            rows[table] += [row for key, row in by_key.items() if (table, key) not in model.unknown]
        for table, key in model.gone - model.unknown:
            gone[table].append(key)
        for counter, by in model.counters.items():
            counters[counter] += by
    for model in models:
        for counter in model.unknown_counters:
            counters.pop(counter, None)
    return Journal(
        data_set=data_set,
        rows=rows,
        gone=gone,
        counters=[(*counter, value) for counter, value in counters.items()],
        totals={name: beginning.totals[name] + len(rows[name]) for name in names if name not in uncertain},
    )
