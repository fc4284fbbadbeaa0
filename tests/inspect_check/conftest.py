"""A database of its own for each of these tests, and what is done with it."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from pydantic import SecretStr
from support.runs.forking import run_command
from support.servers.shared import template

from demo.datasets.market import create_market
from demo.embedded import EmbeddedPostgres
from producer.check.check import audit
from producer.check.findings import Finding, Report
from producer.inspect.decision import propose
from producer.inspect.evidence import read_evidence
from producer.inspect.plan_writer import toml_string
from producer.inspect.proposal import Proposal
from producer.planning.resolution import PlanFile
from replank.plan.plan import parse_plan
from replank.settings import Settings
from sql.session.connection import connect

Columns = Mapping[str, Sequence[str]]
"""`table` or `schema.table` → the columns that become uuid."""

ID = "0123abcd-0123-4567-89ab-0123456789ab"
_numbers = itertools.count(1)


class Counting:
    """A ScanWatch that only counts."""

    def __init__(self) -> None:
        self.blocks_told = 0
        self.blocks = 0
        self.rows = 0
        self.parts = 0

    def begin(self, *, blocks: int) -> None:
        self.blocks_told = blocks

    def scanned(self, table: str, *, table_blocks: int, blocks: int, rows: int) -> None:
        assert table
        assert blocks <= table_blocks
        self.blocks += blocks
        self.rows += rows
        self.parts += 1


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database and what one does with it in a test."""

    name: str
    url: str

    def run(self, *statements: LiteralString) -> None:
        """Execute statements; `$ID` in them stands for a uuid."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.replace("$ID", ID))

    def rows(self, statement: LiteralString) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement).fetchall()

    def plan_text(self, columns: Columns) -> str:
        lines = ["version = 1", "[database]", f"name = {toml_string(self.name)}"]
        for table, names in columns.items():
            schema, _, name = table.rpartition(".")
            listed = ", ".join(f'{{name = {toml_string(c)}, to = "uuid"}}' for c in names)
            lines += [
                "[[tables]]",
                f"schema = {toml_string(schema or 'public')}",
                f"name = {toml_string(name)}",
                f"columns = [{listed}]" if names else 'method = "rebuild"',
            ]
        return "\n".join(lines) + "\n"

    def plan(self, columns: Columns) -> PlanFile:
        text = self.plan_text(columns)
        return PlanFile(plan=parse_plan(text, source="plan.toml"), source="plan.toml", text=text)

    def check(self, columns: Columns, *, url: str | None = None, watch: Counting | None = None) -> Report:
        return self.check_text(self.plan_text(columns), url=url, watch=watch)

    def check_text(self, text: str, *, url: str | None = None, watch: Counting | None = None) -> Report:
        """Check a plan as it is written."""
        settings = Settings(database_url=SecretStr(url or self.url))
        file = PlanFile(plan=parse_plan(text, source="plan.toml"), source="plan.toml", text=text)
        return audit(settings, file, workers=2, watch=watch or Counting())

    def inspect(self, *, sample_rows: int = 1_000, every_uuid: bool = True) -> Proposal:
        with connect(self.url, name="inspect", settings={"default_transaction_read_only": "on"}) as connection:
            return propose(read_evidence(connection, sample_rows=sample_rows), every_uuid=every_uuid)


def proposed(proposal: Proposal) -> dict[tuple[str, str], tuple[str, ...]]:
    """(schema, table) → columns, as the sample's truth is written."""
    return {(t.schema, t.name): tuple(c.name for c in t.columns) for t in proposal.tables}


def reasons(proposal: Proposal) -> dict[str, str]:
    """`schema.table.column` → why it is left alone."""
    return {f"{c.schema}.{c.table}.{c.column}": c.reason for c in proposal.left_alone}


def codes(findings: Sequence[Finding]) -> list[str]:
    """The codes, without those that only say what this machine cannot know, or that no plan here has gates."""
    return [f.code for f in findings if f.code not in ("disk_unknown", "no_gates")]


def only(findings: Sequence[Finding], code: str) -> Finding:
    """The one finding of this code."""
    (found,) = [f for f in findings if f.code == code]
    return found


def replank(*arguments: str, url: str | None = None, folder: Path) -> subprocess.CompletedProcess[str]:
    """The real command line."""
    named = {} if url is None else {"REPLANK_DATABASE_URL": url}
    return run_command(*arguments, environment={"PATH": "", **named}, folder=folder)


@pytest.fixture
def database(database: str) -> Database:
    """An empty database."""
    return Database(name=database.rsplit("/", 1)[1], url=database)


@pytest.fixture(scope="package")
def shop(postgres: EmbeddedPostgres) -> Iterator[Database]:
    """The sample market; tests only look at it."""
    with template(postgres, "shop", lambda url: create_market(url, rows=5_000)) as name:
        yield Database(name=name, url=postgres.url(name))


@pytest.fixture
def role(postgres: EmbeddedPostgres, database: Database) -> Iterator[Callable[[], tuple[str, str]]]:
    """Makes an ordinary role: its name, and the URL with which it enters the database."""
    made: list[str] = []

    def make() -> tuple[str, str]:
        name = f"role_{next(_numbers)}"
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
        made.append(name)
        return name, database.url.replace(f"postgres:{postgres.password}@", f"{name}:secret@")

    yield make
    with psycopg.connect(database.url, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP OWNED BY {name}")
            connection.execute(f"DROP ROLE {name}")
