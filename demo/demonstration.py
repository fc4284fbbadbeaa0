"""The main job on embedded servers: a live shop, one plan, one run, and what it cost."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import psycopg
from rich.console import Console

from demo.application import Application
from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from demo.managed import Urls, create_database
from demo.offline import OfflineResult, offline_alter
from demo.product import Product
from demo.result import DemoResult
from demo.sample import create_sample, uuid_columns
from monitoring.status.durations import stage_seconds
from monitoring.status.status import read_status
from replank.wording import counted
from sql.ledger.runs import runs
from sql.ledger.tables import tables
from sql.session.connection import connect

SETTLE_S = 1.0
"""How long the application writes before the run begins and after it has ended."""


class Demonstration:
    """Runs the product's own commands as an operator would, as processes."""

    def __init__(self, *, rows: int, workers: int, rate: float, console: Console, managed: bool = False) -> None:
        self._rows = rows
        self._workers = workers
        self._rate = rate
        self._console = console
        self._managed = managed

    def run(self) -> DemoResult:
        """Everything, on servers that are gone afterwards."""
        settings = {"shared_buffers": "512MB"}
        with EmbeddedPostgres(settings=settings) as postgres, EmbeddedValkey() as valkey:
            self._say(f"PostgreSQL {postgres.version} and Valkey are running on this machine")
            urls = create_database(postgres, "shop", managed=self._managed)
            rows = create_sample(urls.owner, rows=self._rows)
            urls.open_to_application("public", "billing")
            self._say(f"the shop has {counted(sum(rows.values()), 'row')} in {counted(len(rows), 'table')}")
            copy = postgres.create_database("shop_offline", template="shop")
            with tempfile.TemporaryDirectory(prefix="replank-demo-") as folder:
                application = self._convert(urls, valkey.url(), Path(folder) / "plan.toml")
            self._say("the offline way, on a copy of the same tables")
            offline = offline_alter(copy, [(s, t, columns) for (s, t), columns in uuid_columns().items()])
            return self._result(urls.run, sum(rows.values()), application, offline)

    def _say(self, words: str) -> None:
        self._console.print(f"[bold]•[/] {words}")

    def _convert(self, urls: Urls, broker: str, plan: Path) -> Application:
        """inspect, check and run, while the application writes."""
        product = Product(database_url=urls.run, broker_url=broker)
        product.call("inspect", "--every-uuid", "--out", str(plan))
        with plan.open("a", encoding="utf-8") as text:
            text.write(urls.plan)
        self._say("`replank inspect` wrote a plan")
        application = Application(url=urls.application, clients=4, rate=self._rate)
        application.start()
        try:
            time.sleep(SETTLE_S)
            self._say(f"the application writes, {self._rate:.0f} transactions a second")
            product.call("check", str(plan))
            self._say("`replank check` found no blocker")
            product.call("run", str(plan), "--workers", str(self._workers))
            self._say("`replank run` is done; the application still writes")
            time.sleep(SETTLE_S)
        except BaseException:
            application.stop()
            raise
        return application

    def _result(self, url: str, rows: int, application: Application, offline: OfflineResult) -> DemoResult:
        report = application.stop()
        with connect(url, name="demo") as connection:
            status = read_status(connection)
            run = status.run
            sets = tables.read_sets(connection, run.run_id)
            stages = stage_seconds(connection, run.run_id)
            events = runs.read_events(connection, run.run_id, limit=10_000)
        compared = {e["subject"] for e in events if e["kind"] == "verification" and e["message"].startswith("verified")}
        verified, words = judge(url, compared=len(compared), tables_of_run=len(status.tables))
        seconds = max((s.swapped_at - run.created_at).total_seconds() for s in sets if s.swapped_at is not None)
        return DemoResult(
            rows=rows,
            tables=len(status.tables),
            workers=self._workers,
            seconds=round(seconds, 3),
            stages=stages,
            offline_seconds=round(offline.seconds, 3),
            ratio=round(seconds / offline.seconds, 3),
            verified=verified and str(run.state) == "done",
            verification=words,
            lock_wait_ms=round(max(s.lock_wait_ms or 0.0 for s in sets), 1),
            lock_hold_ms=round(max(s.lock_hold_ms or 0.0 for s in sets), 1),
            application=report,
        )


def judge(url: str, *, compared: int, tables_of_run: int) -> tuple[bool, str]:
    """By the catalogue: are all columns uuid and all keys valid; by the ledger: was every table compared?"""
    wanted = {(s, t, c) for (s, t), columns in uuid_columns().items() for c in columns}
    with psycopg.connect(url, autocommit=True) as connection:
        typed = connection.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE data_type = 'uuid'"
        ).fetchall()
        invalid = connection.execute(
            "SELECT count(*) FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace"
            " WHERE k.contype = 'f' AND NOT k.convalidated AND n.nspname !~ '^replank'"
        ).fetchall()
    missing = wanted - {tuple(row) for row in typed}
    words = (
        f"{len(wanted) - len(missing)} of {len(wanted)} columns are uuid, {compared} of {tables_of_run} tables "
        f"compared row by row before the swap, {counted(invalid[0][0], 'foreign key')} left unvalidated"
    )
    return not missing and not invalid[0][0] and compared == tables_of_run, words
