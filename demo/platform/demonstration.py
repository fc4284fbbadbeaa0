"""The whole migration plan on the platform of 71 models, on embedded servers, under clients of two styles."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console

from demo.application import Application, ApplicationReport
from demo.embedded import EmbeddedPostgres, EmbeddedValkey
from demo.managed import Urls, create_database
from demo.platform.create import create_platform, read_schema_file
from demo.platform.fill import fill
from demo.platform.planning import compose_plan
from demo.platform.result import Migration, PlatformResult, judge, read_migration
from demo.product import Product
from replank.plan.partition_plan import Every
from replank.wording import counted

BY = "the demonstration"

NOT_REHEARSED = ("rehearsed", "rollback_scripts")

NO_REHEARSAL = "A rehearsal is the whole plan twice more: `replank demo --rehearse` does it."

WORTH_MONTHS = 50_000
"""With fewer rows, a partition for each month of two years would be a table for some dozen rows."""

LAST_BEFORE_DATA = "07-add-table-mappings"

SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """rows: in all tables; rate: transactions a second of each style's clients; traffic_s: how long both work
    side by side after the swap; out: the report; managed: as a managed service gives a database."""

    rows: int
    workers: int
    rate: float
    traffic_s: float
    rehearse: bool
    there_and_back: bool
    out: Path
    managed: bool = False


class PlatformDemonstration:
    """Runs the product's own commands as an operator would, as processes."""

    def __init__(self, *, wishes: Wishes, console: Console) -> None:
        self._wishes = wishes
        self._console = console
        self._seconds: dict[str, float] = {}

    def run(self) -> PlatformResult:
        """Everything, on servers that are gone afterwards."""
        with (
            EmbeddedPostgres(settings=SETTINGS) as postgres,
            EmbeddedValkey() as valkey,
            tempfile.TemporaryDirectory(prefix="replank-demo-") as folder,
        ):
            self._say(f"PostgreSQL {postgres.version} and Valkey are running on this machine")
            urls = create_database(postgres, "platform", managed=self._wishes.managed)
            url = urls.run
            counts = self._fill(urls)
            product = Product(database_url=url, broker_url=valkey.url(), folder=Path(folder))
            (Path(folder) / "schema.prisma").write_text(read_schema_file(), encoding="utf-8")
            with Application(url=urls.application, world="platform", clients=3, rate=self._wishes.rate) as application:
                self._say(f"clients of the old style write, {self._wishes.rate:.0f} transactions a second")
                self._prepare(product, Path(folder) / "plan.toml", urls)
                self._migrate(product, application, urls)
                migration, criteria = self._report(product, application, Path(folder))
                self._finish(product, application)
                report = application.stop()
            verified, words = judge(url, migration, criteria)
        return PlatformResult(
            rows=sum(counts.values()),
            workers=self._wishes.workers,
            migration=migration,
            verified=verified,
            verification=words,
            criteria=criteria,
            seconds_of=self._seconds,
            overridden=() if self._wishes.rehearse else NOT_REHEARSED,
            there_and_back=self._wishes.there_and_back,
            report_file=self._wishes.out,
            application=report,
        )

    def _say(self, words: str) -> None:
        self._console.print(f"[bold]•[/] {words}", soft_wrap=True)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._seconds[name] = round(self._seconds.get(name, 0.0) + time.monotonic() - began, 1)

    def _fill(self, urls: Urls) -> dict[str, int]:
        with self._timed("fill"):
            create_platform(urls.owner)
            with psycopg.connect(urls.owner) as connection:
                counts = fill(connection, rows=self._wishes.rows)
            urls.open_to_application("public")
            with psycopg.connect(urls.provider, autocommit=True) as connection:
                # The plan reads some tables into memory after the swap.
                connection.execute("CREATE EXTENSION pg_prewarm")
                connection.execute("VACUUM (ANALYZE)")
        self._say(f"the platform has 71 models and {sum(counts.values()):,} rows in {len(counts)} tables")
        return counts

    def _prepare(self, product: Product, plan: Path, urls: Urls) -> None:
        """inspect, the plan, check, and the gates."""
        with self._timed("prepare"):
            proposed = product.ask("inspect", "--every-uuid", "--out", "proposed.toml", "--prisma", "schema.prisma")
            every: Every = "month" if self._wishes.rows >= WORTH_MONTHS else "year"
            text = compose_plan(proposed["tables"], database="platform", every=every)
            plan.write_text(text + urls.plan, encoding="utf-8")
            columns = sum(len(table["columns"]) for table in proposed["tables"])
            self._say(
                f"`replank inspect` proposed {columns} columns of ids; joined with what people wrote: {plan.name}"
            )
            product.call_quietly("check", plan.name)
            self._say("`replank check` found no blocker")
        if self._wishes.rehearse:
            with self._timed("rehearsal"):
                self._say("`replank rehearse` runs the plan and its way back on a clone")
                product.call("rehearse", plan.name, "--workers", str(self._wishes.workers), "--by", BY)
        else:
            self._say(f"not rehearsed, and overridden with the reason: {NO_REHEARSAL}")
        if not self._wishes.managed:
            self._pass_gates(product)

    def _pass_gates(self, product: Product) -> None:
        """What people say holds for one attempt: after a way back it is asked for anew."""

        def gates(*said: str) -> None:
            product.call_quietly("gates", "plan.toml", *said, "--by", BY)

        with self._timed("gates"):
            gates("backup", "--out", "backups", "--kind", "dump" if self._wishes.managed else "base")
            gates("attest", "deployment_ready")
            gates("attest", "team_notified")
            for gate in () if self._wishes.rehearse else NOT_REHEARSED:
                gates("override", gate, "--reason", NO_REHEARSAL)
        self._say("`replank gates` took a full backup, verified it, and knows who stands for the rest")

    def _migrate(self, product: Product, application: Application, urls: Urls) -> None:
        """Phases 1 to 3, and both styles side by side; there and back if that is wished."""
        workers = ("--workers", str(self._wishes.workers))
        if self._wishes.managed:
            # A dump has to hold what phases 1 and 2 have made; a base backup, which is of the whole server, need not.
            with self._timed("run"):
                product.call("run", "plan.toml", "--until", LAST_BEFORE_DATA, *workers)
            # What step 04 has made is the owner's alone: clients of the new style ask there.
            urls.open_to_application("permission")
            self._pass_gates(product)
        with self._timed("run"):
            product.call("run", "plan.toml", *workers)
        self._say("`replank run` is done: phases 1 to 3; clients of the old style never stopped")
        self._side_by_side(application)
        if not self._wishes.there_and_back:
            return
        with self._timed("there and back"):
            application.order("withdraw new")
            product.call_quietly("rollback", "--yes", "--to", LAST_BEFORE_DATA)
            self._say("`replank rollback` brought the text ids back, with every write since")
            time.sleep(self._wishes.traffic_s / 2)
            self._pass_gates(product)
            product.call("run", "plan.toml", "--workers", str(self._wishes.workers))
            application.order("deploy new")
            self._say("and forward again")
        self._side_by_side(application)

    def _side_by_side(self, application: Application) -> None:
        application.order("deployed new")
        self._say("clients of the new style are deployed: uuids and snake_case, beside the old ones")
        time.sleep(self._wishes.traffic_s)

    def _report(
        self, product: Product, application: Application, folder: Path
    ) -> tuple[Migration, list[dict[str, Any]]]:
        """Hold the clients for a moment, look for every acknowledged write, and have the report written."""
        with self._timed("report"):
            found = application.look()
            found.write_statements(folder / "journal.json", folder / "errors.json")
            for style in ("old", "new"):
                application.order(f"deploy {style}")
            self._say_writes(found)
            out = self._wishes.out.absolute()
            out.parent.mkdir(parents=True, exist_ok=True)
            criteria = product.ask(
                *("report", "--out", str(out), "--journal", "journal.json", "--errors", "errors.json")
            )
        self._say(f"`replank report` is written: {out}")
        return read_migration(product.database_url), list(criteria)

    def _say_writes(self, found: ApplicationReport) -> None:
        self._say(
            f"{found.found_again:,} of {found.acknowledged:,} acknowledged facts found again, {len(found.lost)} lost, "
            f"{counted(len(found.errors), 'application error')}"
        )

    def _finish(self, product: Product, application: Application) -> None:
        """Phase 4: the old names have no clients any more; those of the new style go on meanwhile."""
        with self._timed("finish"):
            application.order("withdraw old")
            product.call_quietly("finish", "--yes")
        self._say("`replank finish` is done: past tables and old names are gone, the last indexes are in order")
        time.sleep(min(1.0, self._wishes.traffic_s))
