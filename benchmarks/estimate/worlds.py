"""Databases for recorded runs: one large table, many of mixed size, some filled in place, some with caches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from demo.datasets.platform import create_platform
from demo.demonstration.product import Product

MIXED_ROWS = (
    60_000,
    25_000,
    12_000,
    6_000,
    3_000,
    2_000,
    *(1_000, 800, 600, 400, 300, 200, 150),
    *(80, 60, 40, 20, 5, 1),
)

_TABLE = """
CREATE TABLE {table} (id text PRIMARY KEY DEFAULT gen_random_uuid()::text, parent_id text NOT NULL, n integer NOT NULL,
  at timestamptz NOT NULL DEFAULT now(), note text NOT NULL)
"""

_ROWS = """
INSERT INTO {table} (parent_id, n, note)
SELECT md5((n %% 100)::text)::uuid::text, n, repeat(md5(n::text), 3) FROM generate_series(1, %s) AS n
"""

_CACHE = """
CREATE TABLE {cache} AS SELECT n % 500 AS bucket, count(*) AS n, max(note) AS note FROM {table} GROUP BY 1;
ALTER TABLE {cache} ADD PRIMARY KEY (bucket)
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """Tables with their rows; further indexes on each of the large ones; what the plan says beside them."""

    rows: Mapping[str, int]
    indexes: Sequence[str] = ("parent_id", "at")
    backfilled: tuple[str, ...] = ()
    """Tables that get a new column in place, and are not converted."""
    caches: tuple[str, ...] = ()
    """Tables of which a summary is filled again when all is done."""
    axis: str = "auto"
    chunk_mb: int | None = None

    def create(self, url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for name, rows in self.rows.items():
                table = Identifier(name)
                connection.execute(SQL(_TABLE).format(table=table))
                connection.execute(SQL(_ROWS).format(table=table), [rows])
                for column in self.indexes if rows > 1_000 else ():
                    connection.execute(SQL("CREATE INDEX ON {} ({})").format(table, Identifier(column)))
            for name in self.caches:
                statement = SQL(_CACHE).format(table=Identifier(name), cache=Identifier(f"{name}_summary"))
                connection.execute(statement)
            connection.execute("VACUUM (ANALYZE)")

    def write_plan(self, path: Path, url: str) -> None:
        """As an operator would write it."""
        path.write_text(self._plan_text(url.rpartition("/")[2]), encoding="utf-8")

    def _plan_text(self, database: str) -> str:
        lines = ["version = 1", "[database]", f'name = "{database}"']
        if self.chunk_mb is not None:
            lines += ["[options]", f"chunk_mb = {self.chunk_mb}"]
        for name in self.rows:
            lines += ["[[tables]]", f'name = "{name}"']
            if name in self.backfilled:
                lines += ['method = "backfill"', "[[tables.add]]", 'name = "size"', 'type = "integer"']
                lines += ['value = "length(live.note)"']
                continue
            lines += [f'axis = "{self.axis}"']
            for column in ("id", "parent_id"):
                lines += ["[[tables.columns]]", f'name = "{column}"', 'to = "uuid"']
        for name in self.caches:
            query = f"SELECT n % 500 AS bucket, count(*) AS n, max(note) AS note FROM public.{name} AS t GROUP BY 1"  # noqa: S608
            lines += ["[[caches]]", f'name = "{name}_summary"', 'kind = "table"', f'query = "{query}"']
            lines += ['chunk_by = "bucket"', "chunks = 12"]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The demonstration's platform with so many rows; the plan is what `replank inspect` proposes, and an audit log."""

    rows: int

    def create(self, url: str) -> None:
        create_platform(url, rows=self.rows)

    def write_plan(self, path: Path, url: str) -> None:
        Product(database_url=url, broker_url="redis://127.0.0.1/0").call_quietly("inspect", "--out", str(path))
        path.write_text(path.read_text(encoding="utf-8") + "\n[steps.audit_log]\n", encoding="utf-8")


def mixed(rows: Sequence[int] = MIXED_ROWS) -> dict[str, int]:
    return {f"t{number:02}": count for number, count in enumerate(rows, start=1)}
