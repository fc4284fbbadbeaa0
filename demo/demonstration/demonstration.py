"""One demonstration, of whichever data set: servers, rows, clients, the plan, the run, and what came of it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier
from rich.console import Console

from demo.application import Application
from demo.datasets.data_set import DataSet, WholePlan
from demo.demonstration import history, whole_plan
from demo.demonstration.managed import Urls, create_database
from demo.demonstration.migration import read_migration
from demo.demonstration.offline import OfflineResult, offline_alter
from demo.demonstration.phases import read_moments, transactions_of
from demo.demonstration.product import Product
from demo.demonstration.result import Result
from demo.demonstration.stage import Narrator, Options, Stage
from demo.embedded import EmbeddedPostgres, EmbeddedValkey

SETTLE_S = 1.0
"""How long clients write before the first command and after a run."""


class Demonstration:
    """Runs the product's own commands as an operator would, as processes."""

    def __init__(self, data_set: DataSet, *, options: Options, console: Console) -> None:
        self._data_set = data_set
        self._options = options
        self._narrator = Narrator(console)

    def run(self) -> Result:
        """Everything, on servers that are gone afterwards."""
        with EmbeddedPostgres(settings=self._data_set.settings) as postgres, EmbeddedValkey() as valkey:
            self._narrator.say(f"PostgreSQL {postgres.version} and Valkey are running on this machine")
            return self.run_on(postgres, valkey.url(), database=self._data_set.name)

    def run_on(self, postgres: EmbeddedPostgres, broker_url: str, *, database: str) -> Result:
        """Everything, in a new database of this name, which stays."""
        project, whole = self._data_set.project, self._data_set.whole_plan
        urls = create_database(postgres, database, managed=self._options.managed)
        rows = self._create(urls)
        copy = self._copy(postgres, database)
        with self._at_work(urls, broker_url) as stage:
            _plan(stage)
            criteria = _migrate(stage)
            offline = self._compare(copy)
            followed = None if project is None else history.follow(stage, project)
            migration = read_migration(urls.run)
            if whole is not None:
                whole_plan.finish(stage, whole)
            application = stage.application.stop()
        verified, words = self._data_set.judge(urls.run, migration, criteria)
        moments = read_moments(urls.run, migration.run_id)
        return Result(
            data_set=self._data_set,
            options=self._options,
            rows=sum(rows.values()),
            migration=migration,
            verified=verified,
            verification=words,
            offline=offline,
            criteria=criteria,
            seconds_of=self._narrator.seconds,
            application=application,
            journal=stage.application.journal,
            history=followed,
            by_client=transactions_of(moments, application.ended_at),
        )

    def _create(self, urls: Urls) -> Mapping[str, int]:
        with self._narrator.timed("fill"):
            rows = self._data_set.create(urls.owner, self._options.rows)
            urls.open_to_application(*self._data_set.schemas)
            with psycopg.connect(urls.provider, autocommit=True) as connection:
                for extension in self._data_set.extensions:
                    connection.execute(SQL("CREATE EXTENSION {}").format(Identifier(extension)))
        self._narrator.say(self._data_set.described(rows))
        return rows

    def _copy(self, postgres: EmbeddedPostgres, database: str) -> str | None:
        """The same tables for the offline way: a database is only copied while it is not used."""
        if not self._data_set.offline:
            return None
        return postgres.create_database(f"{database}_offline", template=database)

    @contextmanager
    def _at_work(self, urls: Urls, broker_url: str) -> Iterator[Stage]:
        """Clients write, until they are stopped or something has failed."""
        application = Application(
            url=urls.application,
            data_set=self._data_set.name,
            clients=self._data_set.clients,
            rate=self._options.rate,
        )
        with tempfile.TemporaryDirectory(prefix="replank-demo-") as folder, application:
            if self._data_set.project is not None:
                self._data_set.project.copy(Path(folder) / history.FOLDER)
            time.sleep(SETTLE_S)
            self._narrator.say(self._data_set.at_work.format(rate=self._options.rate))
            yield Stage(
                data_set=self._data_set,
                options=self._options,
                urls=urls,
                product=Product(database_url=urls.run, broker_url=broker_url, folder=Path(folder)),
                application=application,
                folder=Path(folder),
                narrator=self._narrator,
            )

    def _compare(self, copy: str | None) -> OfflineResult | None:
        if copy is None:
            return None
        self._narrator.say("the offline way, on a copy of the same tables")
        with self._narrator.timed("offline"):
            return offline_alter(copy, [(s, t, columns) for (s, t), columns in self._data_set.offline.items()])


def _plan(stage: Stage) -> None:
    """`inspect`, the plan, `check`."""
    with stage.narrator.timed("prepare"):
        if stage.data_set.whole_plan is None:
            if stage.data_set.project is None:
                stage.product.call("inspect", "--every-uuid", "--out", "plan.toml")
                stage.narrator.say("`replank inspect` wrote a plan")
            else:
                history.propose(stage, stage.data_set.project)
            with (stage.folder / "plan.toml").open("a", encoding="utf-8") as text:
                text.write(stage.urls.plan)
            if stage.data_set.project is None:
                stage.product.call("check", "plan.toml")
            else:
                history.check(stage)
        else:
            _compose(stage, stage.data_set.whole_plan)
            # Of a whole plan the words are many.
            stage.product.call_quietly("check", "plan.toml")
    stage.narrator.say("`replank check` found no blocker")


def _compose(stage: Stage, whole: WholePlan) -> None:
    """What `inspect` proposes, joined with what people wrote."""
    (stage.folder / "schema.prisma").write_text(whole.prisma_schema(), encoding="utf-8")
    proposed = stage.product.ask("inspect", "--every-uuid", "--out", "proposed.toml", "--prisma", "schema.prisma")
    text = whole.compose_plan(proposed["tables"], stage.data_set.name, stage.options.rows)
    (stage.folder / "plan.toml").write_text(text + stage.urls.plan, encoding="utf-8")
    columns = sum(len(table["columns"]) for table in proposed["tables"])
    stage.narrator.say(f"`replank inspect` proposed {columns} columns of ids; merged with the reviewed plan.toml")


def _migrate(stage: Stage) -> Sequence[Mapping[str, Any]]:
    """The run, and with a whole plan what stands before it and behind it. Returns the report's success criteria."""
    whole = stage.data_set.whole_plan
    if whole is not None:
        whole_plan.rehearse(stage)
        whole_plan.migrate(stage, whole)
        return whole_plan.report(stage)
    with stage.narrator.timed("run"):
        stage.product.call("run", "plan.toml", *stage.workers)
    stage.narrator.say("`replank run` is done; the application still writes")
    time.sleep(SETTLE_S)
    return ()
