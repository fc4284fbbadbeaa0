"""The schema of torture.sql: its rows, the plan that says everything a plan can say, and those who write meanwhile."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors
from support.runs.harness import MOST_TURNS, Rebuild, Url

from producer.planning.resolution import PlanFile
from producer.starting.begin import begin_or_resume
from replank.plan.plan import Plan
from replank.values.states import TableState
from sql.session.connection import connect

FOLDER = Path(__file__).parent
SCHEMAS = ("public", "shop", "Side %", "tools")
LONG = "a23456789_123456789_123456789_123456789_123456789_123456789_123"
LONG_ID = "Id23456789_123456789_123456789_123456789_123456789_123456789_12"


def build(app: psycopg.Connection) -> None:
    """Everything, in the application's session. The roles are there already."""
    for name in ("torture", "torture_rows", "torture_hanging"):
        script = (FOLDER / f"{name}.sql").read_text()
        if app.info.server_version < 180_000:
            script = re.sub(r"(?m)^.*-- 18$", "", script).replace("VIRTUAL", "STORED")
        app.execute(script.encode())
    app.execute("ANALYZE")


CONVERTED: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("shop", "account"): {"id": "uuid", "manager_id": "uuid"},
    ("shop", "orders"): {"id": "uuid", "account_id": "uuid", "backup_id": "uuid"},
    ("shop", "orderLine"): {"order_id": "uuid", "account_id": "uuid"},
    ("Side %", "tag"): {"id": "uuid"},
    ("Side %", "_OrderToTag"): {"A": "uuid", "B": "uuid"},
    ("shop", "event"): {"id": "uuid", "account_id": "uuid"},
    ("shop", "reading"): {"id": "uuid", "account_id": "uuid"},
    ("shop", "spread"): {"id": "uuid"},
    ("shop", "being"): {"id": "uuid"},
    ("shop", "marked"): {},
    ("shop", "beast"): {"id": "uuid", "account_id": "uuid"},
    ("shop", "hound"): {"id": "uuid", "account_id": "uuid"},
    ("public", LONG): {LONG_ID: "uuid", "up": "uuid"},
    ("public", "named"): {"id": "uuid", "account_id": "uuid"},
    ("public", "whole"): {"id": "uuid", "ids": "uuid[]", "of_it": "uuid"},
    ("public", "summary"): {"account_id": "uuid"},
}
"""What becomes what, by table."""

CONSENT: Mapping[str, Any] = {"consent": ["domain_checks"]}
DOMAINS: Mapping[str, Mapping[str, Any]] = {"id": CONSENT, "of_it": CONSENT}
FIRST = {
    "name": "first",
    "query": "SELECT DISTINCT ON (row_id) row_id, actor, at FROM tools.entry ORDER BY row_id, at",
    "on": "first.row_id = live.id",
}
MORE: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("shop", "account"): {
        "axis": "primary_key",
        "fill": [{"name": "updated_at", "value": "live.created_at", "only_null": True, "on_update": "now()"}],
        "add": [
            {"name": "created_by", "type": "text", "value": "'system'", "default": "current_user", "not_null": True},
            {"name": "public_id", "type": "uuid", "default": "gen_random_uuid()", "not_null": True, "unique": True},
        ],
    },
    ("shop", "orders"): {
        "join": [FIRST],
        "partition": {"by": "hash", "column": "id", "count": 3, "consent": ["uniqueness"]},
        "fill": [{"name": "updated_at", "value": "coalesce(first.at, live.at)", "default": "now()", "not_null": True}],
        "add": [{"name": "created_by", "type": "text", "value": "first.actor"}],
    },
    ("shop", "event"): {
        "partition": {
            "by": "range",
            "column": "at",
            "every": "year",
            "timezone": "Europe/Berlin",
            "consent": ["uniqueness"],
        },
    },
    ("shop", "marked"): {"method": "rebuild"},
    ("shop", "spread"): {"partition": {"by": "none"}},
    ("public", "whole"): {"axis": "heap"},
}
FILLED: Mapping[tuple[str, str], set[str]] = {
    ("shop", "account"): {"updated_at", "created_by", "public_id"},
    ("shop", "orders"): {"updated_at", "created_by"},
}
SETTING: Mapping[str, Any] = {
    "name": "setting",
    "method": "backfill",
    "fill": [{"name": "changed_at", "value": "'2000-01-01Z'", "not_null": True, "default": "now()"}],
    "add": [{"name": "made_at", "type": "timestamptz", "value": "'1999-09-09Z'", "default": "now()", "not_null": True}],
}
QUERY = "SELECT o.account_id, count(*) AS many FROM shop.orders AS o WHERE o.account_id IS NOT NULL GROUP BY 1"
CACHES: tuple[Mapping[str, Any], ...] = (
    {
        "kind": "table",
        "name": "summary",
        "query": QUERY,
        "chunk_by": "account_id",
        "chunks": 4,
        "keep_in_step": ["shop.orders"],
        "hits": "hits",
        "misses": "misses",
    },
    {"kind": "materialized_view", "schema": "shop", "name": "totals", "concurrently": True},
)


def planned() -> list[dict[str, Any]]:
    """The plan's tables, as TOML would say them."""
    tables: list[dict[str, Any]] = [
        {
            "schema": schema,
            "name": name,
            "columns": [{"name": column, "to": to, **DOMAINS.get(column, {})} for column, to in columns.items()],
            **MORE.get((schema, name), {}),
        }
        for (schema, name), columns in CONVERTED.items()
    ]
    return [*tables, dict(SETTING)]


WRITES = tuple((FOLDER / "torture_writes.sql").read_text().split("\n", 1)[1].strip().removesuffix(";").split(";\n"))
"""What the application does; each statement by itself, in any order, before and after the swap."""

THROUGH = (
    'INSERT INTO shop.account (tenant, "fullName", token)'
    " VALUES (1, 'through the swap', md5(random()::text)) RETURNING id::text"
)
MAY_HAPPEN = (
    errors.DeadlockDetected,
    errors.UniqueViolation,
    errors.ForeignKeyViolation,
    errors.CheckViolation,
    errors.ExclusionViolation,
    errors.NotNullViolation,
    errors.SerializationFailure,
)
"""What writers do to each other; none of it is the run's doing."""


class Writers:
    """Sessions that write until they are told to end. `errors` holds what should not have happened."""

    def __init__(self, url: Url, statements: tuple[str, ...], *, sessions: int, seed: int) -> None:
        self._url, self._statements, self._ended = url, statements, threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(seed + n,)) for n in range(sessions)]
        self.done = 0
        self.returned: list[str] = []
        self.errors: list[str] = []

    def _write(self, seed: int) -> None:
        chosen = random.Random(seed)
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self._ended.is_set():
                statement = chosen.choice(self._statements)
                try:
                    found = connection.execute(statement.encode())
                    if found.description:
                        self.returned += [row[0] for row in found.fetchall()]
                    self.done += 1
                except MAY_HAPPEN:
                    pass
                except psycopg.Error as error:
                    self.errors.append(f"{type(error).__name__}: {error} in {statement}")
                self._ended.wait(0.002)

    @contextmanager
    def writing(self) -> Iterator[Writers]:
        """They write as long as the block runs."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join()


def begin(url: Url) -> Rebuild:
    """Write the run into the ledger. The swap waits for `finish`."""
    with connect(url, name="begin") as connection:
        document = {"database": {"name": connection.info.dbname}, "tables": planned(), "caches": list(CACHES)}
        plan = Plan.model_validate({**document, "options": {"lock_timeout_ms": 100}})
        begin_or_resume(connection, PlanFile(plan=plan, source="plan.toml", text=""), hold_cutover=True)
    return Rebuild.attach(url)


def until_ready(rebuild: Rebuild) -> None:
    """To the cutover's door, the table that is filled in place to its end."""
    for _ in range(MOST_TURNS):
        if all(table.state in (TableState.READY, TableState.DONE) for table in rebuild.tables):
            return
        rebuild.refuse_stuck()
        if not rebuild.turn():
            rebuild.pass_time()
            rebuild.work()
    raise AssertionError([(table.spec.name, table.state) for table in rebuild.tables])
