"""The demo's sample shop with its plan, for tests with live writers."""

import json
from pathlib import Path

from demo.datasets.shop import uuid_columns
from support.oracles.journal_oracle import compare_tables, foreign_keys_hold


def write_sample_plan(path: Path, *, database: str) -> Path:
    """A plan for every uuid column of the sample."""
    lines = ["version = 1", "[database]", f"name = {json.dumps(database)}"]
    for (schema, table), columns in uuid_columns().items():
        lines += ["[[tables]]", f"schema = {json.dumps(schema)}", f"name = {json.dumps(table)}"]
        for column in columns:
            lines += ["[[tables.columns]]", f"name = {json.dumps(column)}", 'to = "uuid"']
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sample_differences(url: str) -> list[str]:
    """Every difference between past (cast) and live, and every foreign key that does not hold."""
    found = foreign_keys_hold(url)
    for (schema, table), columns in uuid_columns().items():
        past = "replank_past" if schema == "public" else f"replank_past_{schema}"
        found += compare_tables(url, live=(schema, table), past=(past, table), converted=dict.fromkeys(columns, "uuid"))
    return found
