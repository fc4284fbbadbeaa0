"""`python -m benchmarks.rebuild`: all ways on one server, in one run, compared pair by pair."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from benchmarks.rebuild.findings import Findings, Round
from benchmarks.rebuild.memory import CuttingMemory, measure_cutting
from benchmarks.rebuild.rounds import measure_round, warm_up
from benchmarks.rebuild.screen import show
from benchmarks.rebuild.shop import SERVER_SETTINGS, create_template, fresh_copy
from demo.embedded import EmbeddedPostgres

CUT_FEW = 1_000
CUT_MANY = 100_000
"""Heap jobs whose cutting is compared in memory."""


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.rebuild", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the large table")
    parser.add_argument("--repeat", type=int, default=3, help="rounds; every way once in each")
    parser.add_argument("--workers", type=int, default=2, help="children of the worker process")
    parser.add_argument("--rate", type=float, default=400.0, help="writes per second while the lock is measured")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line of standard output")
    return parser.parse_args(arguments)


def _print(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def measure(options: argparse.Namespace) -> Findings:
    """Every round, and the memory of cutting, on one embedded server."""
    with EmbeddedPostgres(durable=True, settings=SERVER_SETTINGS) as server:
        _print(f"PostgreSQL {server.version}; filling {options.rows:,} rows")
        row_bytes = create_template(server, options.rows)
        _print("warming up")
        warm_up(server)
        rounds: list[Round] = []
        for number in range(options.repeat):
            _print(f"round {number + 1} of {options.repeat}")
            rounds.append(measure_round(server, number=number, workers=options.workers, rate=options.rate, say=_print))
        cutting = [_cut(server, chunks) for chunks in (CUT_FEW, CUT_MANY)]
        return Findings(
            server_version=server.version,
            rows=options.rows,
            row_bytes=row_bytes,
            workers=options.workers,
            rate=options.rate,
            rounds=tuple(rounds),
            cutting=tuple(cutting),
        )


def _cut(server: EmbeddedPostgres, chunks: int) -> CuttingMemory:
    with fresh_copy(server) as url:
        _print(f"cutting {chunks:,} chunks")
        return measure_cutting(url, chunks=chunks)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, and say whether every target was met (exit code 0) or not (1)."""
    options = _options(sys.argv[1:] if arguments is None else arguments)
    findings = measure(options)
    show(findings, to_stderr=options.json)
    if options.json:
        print(json.dumps(findings.to_json()))
    return 0 if all(target.met for target in findings.targets()) else 1


if __name__ == "__main__":
    sys.exit(main())
