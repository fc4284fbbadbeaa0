"""`python -m benchmarks.rebuild.fused`: ids, audit fields and partitions in one pass, against ids and three passes."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence

import psycopg

from benchmarks.rebuild.ledger_times import seconds_until_swap
from benchmarks.rebuild.programs import coordinate, workers_running
from benchmarks.rebuild.rounds import warm_up
from benchmarks.rebuild.shop import SERVER_SETTINGS, create_template, fresh_copy, plan_text
from demo.embedded import EmbeddedPostgres, EmbeddedValkey

MOST = 1.25
"""What the fused run may cost, in runs of ids alone."""

AUDIT = """
[[tables.add]]
name = "created_by"
type = "text"
value = "'account ' || live.amount % 100"
[[tables.add]]
name = "updated_at"
type = "timestamptz"
value = "live.created_at"
default = "now()"
not_null = true
on_update = "now()"
"""

PARTITION = """
[tables.partition]
by = "range"
column = "created_at"
every = "month"
timezone = "UTC"
ahead = 0
outside = "default"
consent = ["uniqueness"]
"""


def _plan(*parts: str) -> str:
    """A plan that only changes the large table: the parts follow its own heading."""
    head = plan_text().split("[[tables]]", 1)[0]
    return head + '[[tables]]\nschema = "public"\nname = "entry"\nmethod = "rebuild"\n' + "".join(parts)


def measure(server: EmbeddedPostgres, plans: Sequence[str], *, workers: int) -> float:
    """Seconds of these runs, one after the other on one fresh copy, each until its swap."""
    with (
        fresh_copy(server) as url,
        EmbeddedValkey() as broker,
        workers_running(url, broker.url(), count=workers),
    ):
        for plan in plans:
            coordinate(url, broker.url(), plan)
            with psycopg.connect(url) as connection:
                # The next run needs the names of the past tables.
                connection.execute("DROP SCHEMA replank_past CASCADE")
        return seconds_until_swap(url)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, say it, and whether the target was met (exit code 0) or not (1)."""
    parser = argparse.ArgumentParser(prog="benchmarks.rebuild.fused", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the large table")
    parser.add_argument("--repeat", type=int, default=3, help="rounds; every way once in each")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    ids = plan_text()
    ways = {
        "ids alone": [ids],
        "fused": [ids + AUDIT + PARTITION],
        "three passes": [ids, _plan(AUDIT), _plan(PARTITION)],
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    with EmbeddedPostgres(durable=True, settings=SERVER_SETTINGS) as server:
        create_template(server, options.rows)
        warm_up(server)
        for number in range(options.repeat):
            for way in list(ways)[:: -1 if number % 2 else 1]:
                seconds[way].append(measure(server, ways[way], workers=options.workers))
                print(f"round {number + 1}: {way} {seconds[way][-1]:.2f} s", file=sys.stderr, flush=True)
    rounds = list(zip(seconds["fused"], seconds["ids alone"], seconds["three passes"], strict=True))
    against_ids = statistics.median(fused / alone for fused, alone, _ in rounds)
    against_three = statistics.median(three / fused for fused, _, three in rounds)
    print(json.dumps({"fused_of_ids": round(against_ids, 3), "three_of_fused": round(against_three, 3), "most": MOST}))
    return 0 if against_ids <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
