"""`python -m benchmarks.looking.status`: how long `status` takes where the ledger holds a hundred thousand jobs."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.looking.big_ledger import fill_ledger
from demo.embedded import EmbeddedPostgres
from monitoring.estimate.eta import estimate
from monitoring.estimate.read_snapshot import read_snapshot
from monitoring.estimate.snapshot import Moment
from monitoring.status.read_status import read_again, read_status
from producer.waiting.leader import try_to_lead
from sql.ledger.jobs import work
from sql.ledger.runs import runs
from sql.ledger.runs.events import add_event
from sql.ledger.tables import conversion_sets, tables
from sql.session.connection import connect

TARGET_MS = 200.0


def median_ms(what: Callable[[], object], *, times: int) -> float:
    """After one call that does not count."""
    what()
    taken: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, and say whether the target was met (exit code 0) or not (1)."""
    parser = argparse.ArgumentParser(prog="benchmarks.looking.status", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=21)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line of standard output")
    options = parser.parse_args(arguments)
    with EmbeddedPostgres(durable=False) as server:
        url = server.create_database("load")
        run_id = fill_ledger(url, jobs=options.jobs)
        with connect(url, name="load") as connection, connect(url, name="coordinator") as leading:
            # Otherwise no time that is left would be estimated.
            try_to_lead(leading)
            add_event(leading, run_id, actor="benchmark", kind="begin")
            run = runs.read_run(connection, run_id)
            tallies = work.read_tallies(connection, run_id)
            present, sets = tables.read_tables(connection, run_id), conversion_sets.read_sets(connection, run_id)

            def one_moment() -> Moment:
                return read_snapshot(connection, run, tallies, found=present, sets=sets, of_caches=[])

            moment = one_moment()
            status = read_status(connection)
            found = {
                "again": median_ms(lambda: read_again(connection, status), times=options.times),
                "status": median_ms(lambda: read_status(connection), times=options.times),
                "tallies": median_ms(lambda: work.read_tallies(connection, run_id), times=options.times),
                "moment": median_ms(one_moment, times=options.times),
                "estimate": median_ms(lambda: estimate(moment), times=options.times),
            }
    for name, taken in found.items():
        print(f"{name:<10} {taken:8.1f} ms at the median of {options.times}", file=sys.stderr)
    met = found["status"] <= TARGET_MS
    print(f"target: {TARGET_MS:.0f} ms, {'met' if met else 'missed'}", file=sys.stderr)
    if options.json:
        print(json.dumps({"jobs": options.jobs, "median_ms": found, "target_ms": TARGET_MS, "met": met}))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
