"""Databases of tenants: made, listed in a targets file, spoiled, and judged by plain SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from support.runs.processes import Finished, Process, Site
from support.schemas.small_shop import differences

from demo.embedded import EmbeddedPostgres

SPOILED = "no uuid"
TENANT = "tenant"


@dataclass(kw_only=True)
class Tenants:
    """Databases of one test, by name."""

    postgres: EmbeddedPostgres
    site: Site
    prefix: str
    urls: dict[str, str] = field(default_factory=dict)

    def make(self, count: int) -> list[str]:
        for number in range(1, count + 1):
            name = f"{self.prefix}_{number:02}"
            self.urls[name] = self.postgres.create_database(name, template=TENANT)
        return list(self.urls)

    def drop(self) -> None:
        for name in self.urls:
            self.postgres.drop_database(name)

    def spoil(self, name: str) -> None:
        """A key that is no uuid: its job will need a person."""
        self._execute(name, "INSERT INTO customers (id, name) VALUES (%s, 'nobody')", SPOILED)

    def mend(self, name: str) -> None:
        self._execute(name, "DELETE FROM customers WHERE id = %s", SPOILED)

    def _execute(self, name: str, statement: str, value: str) -> None:
        with psycopg.connect(self.urls[name]) as connection:
            connection.execute(statement, [value])

    @property
    def file(self) -> Path:
        """The targets file: the passwords are in it, so nobody else may read it."""
        path = self.site.folder / "targets"
        path.touch(0o600)
        path.write_text("".join(f"{name} {url}\n" for name, url in self.urls.items()), encoding="utf-8")
        return path

    def start(self, *options: str) -> Process:
        """`replank fleet run`."""
        arguments = ("fleet", "run", str(self.site.plan), "--targets", str(self.file), "--workers", "1", "--json")
        return self.site.start(*arguments, *options)

    def run(self, *options: str, deadline_s: float = 200.0) -> Finished:
        return self.start(*options).wait(deadline_s=deadline_s)

    def has_ledger(self, name: str) -> bool:
        return bool(self._value(name, "SELECT to_regclass('replank.run') IS NOT NULL"))

    def runs(self, name: str) -> list[tuple[int, str, str]]:
        """Id, state and end of every run in a database's ledger."""
        with psycopg.connect(self.urls[name]) as connection:
            found = connection.execute("SELECT run_id, state, finished_at::text FROM replank.run ORDER BY 1").fetchall()
        return [(int(run_id), str(state), str(end)) for run_id, state, end in found]

    def id_type(self, name: str) -> str:
        return str(
            self._value(
                name,
                "SELECT data_type FROM information_schema.columns"
                " WHERE (table_schema, table_name, column_name) = ('public', 'orders', 'id')",
            )
        )

    def is_converted(self, name: str) -> bool:
        """Every row is there, as before but for its type, and foreign keys hold."""
        return self.id_type(name) == "uuid" and differences(self.urls[name]) == []

    def sessions(self) -> int:
        """Sessions of ours in all databases of the test."""
        with psycopg.connect(self.postgres.url(), autocommit=True) as connection:
            found = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = ANY (%s) AND application_name LIKE 'replank%%'",
                [list(self.urls)],
            ).fetchone()
        assert found is not None
        return int(found[0])

    def _value(self, name: str, statement: str) -> object:
        with psycopg.connect(self.urls[name]) as connection:
            found = connection.execute(statement).fetchone()  # type: ignore[arg-type]
        assert found is not None
        return found[0]
