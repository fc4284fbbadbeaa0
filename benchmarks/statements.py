"""`python -m benchmarks.statements`: how long the check reads statements of pg_stat_statements. No server is needed."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from producer.check.statements.audit import find
from producer.check.statements.seen import Seen
from producer.check.statements.usage.known import Changing, Functions, Known, Table

TARGET_S = 1.0
COLUMNS_PER_TABLE = 10

FORMS = (
    'SELECT "t{t}"."id", "t{t}"."c{t}_1" FROM "public"."t{t}" WHERE ("t{t}"."id" = $1 AND 1=1) LIMIT $2 /* {n} */',
    "INSERT INTO t{t} (id, c{t}_0, c{t}_1, c{t}_2) VALUES ($1, $2, $3, $4) RETURNING id /* {n} */",
    "SELECT a.id, b.c{u}_1 FROM t{t} a JOIN t{u} b ON a.c{t}_0 = b.id"
    " WHERE a.c{t}_1 = $1::text AND b.id IN ($2, $3) LIMIT {n}",
    "UPDATE t{t} SET c{t}_3 = $1, c{t}_4 = $2 WHERE id = $3 AND {n} > 0",
    "SELECT count(*) FROM other_{t} WHERE x = $1 AND y < {n}",
)
"""As clients and ORMs write them; one of five names no table of the plan."""


def made_up(statements: int, columns: int) -> tuple[list[Seen], Known]:
    """So many statements that differ, and a plan that changes so many columns."""
    count = max(1, columns // COLUMNS_PER_TABLE)
    seen = [
        Seen(query=FORMS[n % len(FORMS)].format(t=n % count, u=(n * 7 + 1) % count, n=n), calls=n + 1, seconds=90_000.0)
        for n in range(statements)
    ]
    tables = {f"t{t}": [_table(t)] for t in range(count)}
    functions = Functions(text_only=frozenset({("lower", 0)}), give_text=frozenset({"concat"}))
    return seen, Known(tables=tables, functions=functions)


def _table(number: int) -> Table:
    name = f"public.t{number}"
    names = ["id", *(f"c{number}_{n}" for n in range(COLUMNS_PER_TABLE - 1))]
    columns = {c: Changing(table=name, column=c, becomes="uuid", array=False, enum=False) for c in names}
    return Table(schema="public", full_name=name, columns=columns)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, and say whether the target was met (exit code 0) or not (1)."""
    parser = argparse.ArgumentParser(prog="benchmarks.statements", description=__doc__)
    parser.add_argument("--statements", type=int, default=10_000)
    parser.add_argument("--columns", type=int, default=1_000)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args(arguments)
    seen, known = made_up(options.statements, options.columns)
    taken: list[float] = []
    for _ in range(options.times):
        began = time.process_time()
        warnings = len(list(find(seen, known)))
        taken.append(time.process_time() - began)
    shortest = min(taken)
    print(f"{options.statements} statements, {options.columns} columns: {shortest:.2f} s of CPU", file=sys.stderr)
    print(json.dumps({"cpu_s": round(shortest, 3), "target_s": TARGET_S, "warnings": warnings}))
    return 0 if shortest <= TARGET_S else 1


if __name__ == "__main__":
    sys.exit(main())
