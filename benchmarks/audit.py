"""`python -m benchmarks.audit`: what the audit log's triggers (step 03) cost each write, against a table without."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from benchmarks.rebuild.shop import wal_position
from demo.embedded import EmbeddedPostgres
from producer.compiling.compile_steps import compile_steps
from producer.scripts.run_script import ScriptRunner
from replank.plan.plan import Plan
from sql.session.connection import connect

SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min", "autovacuum": "off"}

TABLES = ("plain", "audited")

CREATE = """
CREATE TABLE {table} (
  id uuid PRIMARY KEY, account_id uuid NOT NULL, kind text NOT NULL, note text, amount numeric(12,2) NOT NULL,
  details jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON {table} (account_id);
CREATE INDEX ON {table} (created_at);
INSERT INTO {table}
SELECT md5('row ' || g)::uuid, md5('account ' || g % 1000)::uuid, 'kind', 'a note of some words ' || g, g % 900,
  jsonb_build_object('n', g), now() FROM generate_series(1, {rows}) AS g;
VACUUM ANALYZE {table}
"""

MANY = 1_000

INSERT = """INSERT INTO {table} (id, account_id, kind, note, amount, details)
SELECT md5(%(salt)s || g)::uuid, md5('account ' || g %% 1000)::uuid, 'kind', 'a note of some words ' || g, g %% 900,
  jsonb_build_object('n', g) FROM generate_series(%(first)s::int, %(last)s::int) AS g"""
UPDATE = """UPDATE {table} SET amount = amount + 1
 WHERE id IN (SELECT md5(%(salt)s || g)::uuid FROM generate_series(%(first)s::int, %(last)s::int) AS g)"""
DELETE = """DELETE FROM {table}
 WHERE id IN (SELECT md5(%(salt)s || g)::uuid FROM generate_series(%(first)s::int, %(last)s::int) AS g)"""
STATEMENTS = {"insert": INSERT, "update": UPDATE, "delete": DELETE}


@dataclass(frozen=True, kw_only=True)
class Way:
    """`each` rows in a statement, `times` statements in a sample; `commits`: every statement is its own transaction."""

    name: str
    each: int
    times: int
    commits: bool


WAYS = (
    Way(name="one row", each=1, times=300, commits=False),
    Way(name="one row and its COMMIT", each=1, times=100, commits=True),
    Way(name=f"{MANY:,} rows", each=MANY, times=3, commits=False),
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Of one sort of write: microseconds and bytes of WAL for each row."""

    us: float
    wal: float


Samples = dict[tuple[str, str], list[tuple[Sample, Sample]]]
"""(way, write) -> for each round the sample of the plain table and that of the audited one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and say it. There is no target: the figures are what a plan's author has to weigh."""
    parser = argparse.ArgumentParser(prog="benchmarks.audit", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of each table")
    parser.add_argument("--repeat", type=int, default=9, help="rounds; both tables once in each")
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)
    load_before = os.getloadavg()[0]
    with EmbeddedPostgres(durable=True, settings=SETTINGS) as server:
        url = server.create_database("audited_writes")
        prepare(url, options.rows)
        samples: Samples = defaultdict(list)
        with psycopg.connect(url) as connection:
            connection.execute(
                "SELECT set_config('app.actor', 'u-17', false), set_config('app.request_id', 'r-1', false)"
            )
            # The first round only warms up.
            for number in range(options.repeat + 1):
                for way in WAYS:
                    measured = measure(connection, url, way, number)
                    for write, pair in measured.items() if number else ():
                        samples[way.name, write].append(pair)
                print(f"round {number}", file=sys.stderr, flush=True)
        proved = entries(url)
    said = [line for key in samples for line in [figures(key, samples[key])]]
    load = {"load": [round(load_before, 1), round(os.getloadavg()[0], 1)], "cpus": os.cpu_count()}
    show(said, load_before)
    print(json.dumps({"writes": said, "audit_entries": proved, **load}))
    return 0 if proved else 1


def prepare(url: str, rows: int) -> None:
    """Two tables alike, and the triggers of step 03, as a run makes them, on one of them."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table in TABLES:
            for statement in CREATE.split(";"):
                named = SQL(statement).format(table=Identifier(table), rows=Literal(rows))
                connection.execute(named)
    with connect(url, name="benchmark") as connection:
        steps = {"audit_log": {"tables": ["audited"]}}
        plan = Plan.model_validate({"database": {"name": "audited_writes"}, "steps": steps})
        step = next(one for one in compile_steps(connection, plan) if one.step.number == 3)
        ScriptRunner(connection=connection, attempts=10).run(step.forward)


def measure(connection: psycopg.Connection, url: str, way: Way, number: int) -> dict[str, tuple[Sample, Sample]]:
    """Insert, update and delete the same rows in both tables, which take turns in being first."""
    found: dict[str, dict[str, Sample]] = defaultdict(dict)
    for write in STATEMENTS:
        for table in TABLES[:: -1 if number % 2 else 1]:
            found[write][table] = _sample(connection, url, way, write, table, f"{way.name} {number} ")
    return {write: (of["plain"], of["audited"]) for write, of in found.items()}


def _sample(connection: psycopg.Connection, url: str, way: Way, write: str, table: str, salt: str) -> Sample:
    statement = SQL(STATEMENTS[write]).format(table=Identifier(table)).as_bytes(connection)
    wal = wal_position(url)
    began = time.perf_counter()
    for time_of in range(way.times):
        given = {"salt": salt, "first": time_of * way.each + 1, "last": (time_of + 1) * way.each}
        done = connection.execute(statement, given).rowcount
        if done != way.each:
            raise RuntimeError(f"{write} of {table} touched {done} rows, not {way.each}")
        if way.commits:
            connection.commit()
    seconds = time.perf_counter() - began
    connection.commit()
    rows = way.each * way.times
    return Sample(us=seconds * 1e6 / rows, wal=(wal_position(url) - wal) / rows)


def entries(url: str) -> int:
    """How many entries the log has: none would mean that nothing was measured."""
    with psycopg.connect(url) as connection:
        ((found,),) = connection.execute("SELECT count(*) FROM audit.audit_log WHERE actor = 'u-17'").fetchall()
    return int(found)


def figures(key: tuple[str, str], rounds: Sequence[tuple[Sample, Sample]]) -> dict[str, str | float]:
    """Medians of the rounds; the ratio is taken inside each."""

    def middle(value: Callable[[Sample, Sample], float]) -> float:
        return round(statistics.median(value(plain, audited) for plain, audited in rounds), 2)

    way, write = key
    return {
        "way": way,
        "write": write,
        "plain_us": middle(lambda plain, _: plain.us),
        "audited_us": middle(lambda _, audited: audited.us),
        "more_us": middle(lambda plain, audited: audited.us - plain.us),
        "ratio": middle(lambda plain, audited: audited.us / plain.us),
        "plain_wal": middle(lambda plain, _: plain.wal),
        "audited_wal": middle(lambda _, audited: audited.wal),
    }


def show(said: Sequence[dict[str, str | float]], load: float) -> None:
    print(f"for each row, medians; load {load:.1f} on {os.cpu_count()} processors before", file=sys.stderr)
    form = "{:<24}{:<8}{:>12}{:>12}{:>10}{:>8}{:>12}{:>12}"
    print(form.format("way", "write", "plain µs", "audited µs", "more µs", "ratio", "WAL", "with"), file=sys.stderr)
    for one in said:
        print(form.format(*map(str, one.values())), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
