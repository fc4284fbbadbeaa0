"""A plan that makes columns of ids uuid and nothing else, and what is different afterwards."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.oracles.journal_oracle import compare_tables, foreign_keys_hold

Columns = Mapping[tuple[str, str], Sequence[str]]
"""(schema, table) -> the columns that become uuid."""


def write_uuid_plan(path: Path, columns: Columns, *, database: str, options: str = "", of_each: str = "") -> Path:
    """A plan for these columns. `options` and `of_each` are TOML of the whole plan and of each table."""
    lines = ["version = 1", "[database]", f"name = {json.dumps(database)}", options]
    for (schema, table), names in columns.items():
        lines += ["[[tables]]", f"schema = {json.dumps(schema)}", f"name = {json.dumps(table)}", of_each]
        for name in names:
            lines += ["[[tables.columns]]", f"name = {json.dumps(name)}", 'to = "uuid"']
    path.write_text("\n".join(filter(None, lines)) + "\n", encoding="utf-8")
    return path


def uuid_differences(url: str, columns: Columns) -> list[str]:
    """Every difference between past (cast) and live, and every foreign key that does not hold."""
    found = foreign_keys_hold(url)
    for (schema, table), names in columns.items():
        past = "replank_past" if schema == "public" else f"replank_past_{schema}"
        found += compare_tables(url, live=(schema, table), past=(past, table), converted=dict.fromkeys(names, "uuid"))
    return found
