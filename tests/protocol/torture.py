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

from producer.resolution import PlanFile
from producer.setup import begin_or_resume
from replank.plan import Plan
from replank.states import TableState
from sql.connection import connect

from .harness import MOST_TURNS, Rebuild, Url

SCHEMAS = ("public", "shop", "Side %", "tools")
LONG = "a23456789_123456789_123456789_123456789_123456789_123456789_123"
LONG_ID = "Id23456789_123456789_123456789_123456789_123456789_123456789_12"

ROWS = """
INSERT INTO shop.account (tenant, "fullName", email, home, homes, during, balance, token, doc)
  SELECT g % 4 + 1, 'Name ' || g, 'n' || g || '@example.org', ROW('street ' || g, lpad(g::text, 5, '0')::char(5), date '2020-01-01')::shop.address,
         ARRAY[ROW('a', '1', NULL)::shop.address], CASE WHEN g < 5 THEN tstzrange('2025-01-01', '2025-01-02') ELSE 'empty' END, g, 't' || g,
         jsonb_build_object('n', g) FROM generate_series(1, 300) AS g;
INSERT INTO shop.account (id, tenant) VALUES (upper(gen_random_uuid()::text), 13), ('{' || gen_random_uuid() || '}', 2);
UPDATE shop.account a SET manager_id = b.id FROM shop.account b WHERE b.serial_no = a.serial_no / 2 AND a.serial_no > 1;
INSERT INTO shop.orders (tenant, account_id, backup_id, at, region, total, note)
  SELECT a.tenant, a.id, CASE WHEN g % 3 = 0 THEN a.id END, timestamptz '2024-12-01Z' + g * interval '3 hours', 'r' || g % 5, g, 'note ' || g
    FROM generate_series(18, 900) AS g JOIN shop.account a ON a.serial_no = g % 300 + 1;
INSERT INTO shop."orderLine" SELECT id, k, k * 2, tenant, CASE WHEN n % 2 = 0 THEN account_id END FROM shop.orders, generate_series(1, 2) AS k WHERE n % 2 = 0;
INSERT INTO "Side %".tag SELECT gen_random_uuid()::text, 'tag ' || g FROM generate_series(1, 20) AS g;
INSERT INTO "Side %"."_OrderToTag" SELECT t.id, o.id FROM "Side %".tag t JOIN shop.orders o ON o.n % 20 = substr(t.name, 5)::int;
INSERT INTO shop.event SELECT gen_random_uuid()::text, timestamptz '2024-12-25Z' + a.serial_no * interval '7 hours', a.id, 'k' || a.serial_no % 5
  FROM shop.account a;
INSERT INTO shop.reading SELECT gen_random_uuid()::text, date '2024-08-01' + a.serial_no, a.id, a.serial_no FROM shop.account a;
INSERT INTO shop.spread SELECT gen_random_uuid()::text, g, 'w' || g FROM generate_series(1, 200) AS g;
INSERT INTO public.a23456789_123456789_123456789_123456789_123456789_123456789_123 SELECT gen_random_uuid()::text FROM generate_series(1, 50);
UPDATE public.a23456789_123456789_123456789_123456789_123456789_123456789_123 AS t
   SET up = t."Id23456789_123456789_123456789_123456789_123456789_123456789_12";
INSERT INTO public.named SELECT gen_random_uuid()::text, serial_no, id FROM shop.account;
INSERT INTO public.whole SELECT gen_random_uuid()::text, g, 'w' FROM generate_series(1, 90) AS g;
INSERT INTO public.setting SELECT 'key ' || g, 'w', CASE WHEN g > 3 THEN '2025-05-05Z'::timestamptz END FROM generate_series(1, 60) AS g;
INSERT INTO public.summary (account_id, many) SELECT account_id, count(*) FROM shop.orders GROUP BY 1;
INSERT INTO tools.entry SELECT id, 'actor ' || n, at FROM shop.orders WHERE n % 3 = 0;
SELECT nextval('shop.lone'), nextval('shop.lone'), nextval('shop."odd Sequence"')
"""


def build(app: psycopg.Connection) -> None:
    """Everything, in the application's session. The roles are there already."""
    folder = Path(__file__).parent
    for script in ((folder / "torture.sql").read_text(), ROWS, (folder / "torture_hanging.sql").read_text()):
        for_version = script if app.info.server_version >= 180_000 else re.sub(r"(?m)^.*-- 18$", "", script)
        app.execute(for_version.encode())
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
    ("public", LONG): {LONG_ID: "uuid", "up": "uuid"},
    ("public", "named"): {"id": "uuid", "account_id": "uuid"},
    ("public", "whole"): {"id": "uuid"},
    ("public", "summary"): {"account_id": "uuid"},
}
"""What becomes what, by table."""

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
            "columns": [{"name": column, "to": to} for column, to in columns.items()],
            **MORE.get((schema, name), {}),
        }
        for (schema, name), columns in CONVERTED.items()
    ]
    return [*tables, dict(SETTING)]


SOME = "(SELECT id FROM shop.account ORDER BY random() LIMIT 1)"
WRITES = (
    'INSERT INTO shop.account (tenant, "fullName", manager_id, token) SELECT 1 + random() * 3, \'new\', id, md5(random()::text)'
    " FROM shop.account ORDER BY random() LIMIT 1",
    f"UPDATE shop.account SET balance = balance + 1, \"fullName\" = 'changed' WHERE id = {SOME}",
    f"UPDATE shop.account SET id = gen_random_uuid() WHERE id = {SOME}",
    "UPDATE shop.account SET tenant = tenant + 4 WHERE balance = (random() * 300)::int AND tenant < 5",
    f"DELETE FROM shop.account WHERE id = {SOME} AND random() < 0.4",
    "INSERT INTO shop.orders (tenant, account_id, at, total) SELECT tenant, id, now() - random() * interval '90 days', random() * 500"
    " FROM shop.account ORDER BY random() LIMIT 2",
    "UPDATE shop.orders SET note = 'n ' || random(), total = total + 1 WHERE n = (random() * 900)::int",
    "UPDATE shop.orders SET id = gen_random_uuid() WHERE n = (random() * 900)::int",
    "DELETE FROM shop.orders WHERE n = (random() * 900)::int",
    'INSERT INTO shop."orderLine" (order_id, "lineNo") SELECT id, random() * 1000000 FROM shop.orders ORDER BY random() LIMIT 1',
    'UPDATE shop."orderLine" SET "lineNo" = "lineNo" + 1000, amount = 9 WHERE "lineNo" = (random() * 3)::int AND random() < 0.02',
    "INSERT INTO \"Side %\".tag VALUES (gen_random_uuid(), 'tag ' || random())",
    "UPDATE \"Side %\".tag SET id = gen_random_uuid() WHERE name = 'tag ' || (random() * 20)::int",
    "DELETE FROM \"Side %\".tag WHERE name = 'tag ' || (random() * 20)::int AND random() < 0.1",
    'INSERT INTO "Side %"."_OrderToTag" SELECT t.id, o.id FROM "Side %".tag t, shop.orders o ORDER BY random() LIMIT 1 ON CONFLICT DO NOTHING',
    "INSERT INTO shop.event SELECT gen_random_uuid(), now() + (random() - 0.5) * interval '300 days', id, 'k' FROM shop.account ORDER BY random() LIMIT 1",
    "UPDATE shop.event SET at = at + interval '40 days' WHERE kind = 'k1' AND random() < 0.05",
    "UPDATE shop.reading SET at = at + 100, n = 5 WHERE n = (random() * 300)::int",
    "DELETE FROM shop.reading WHERE n = (random() * 300)::int",
    "INSERT INTO shop.spread SELECT gen_random_uuid(), random() * 90000, 'new'",
    "UPDATE shop.spread SET id = gen_random_uuid(), word = 'moved' WHERE n = (random() * 200)::int",
    "DELETE FROM public.named WHERE n = (random() * 300)::int",
    "UPDATE public.named SET n = n + 10000 WHERE n = (random() * 300)::int",
    "UPDATE public.whole SET note = 'n ' || random() WHERE n = (random() * 90)::int",
    f"INSERT INTO public.{LONG} VALUES (gen_random_uuid())",
    "UPDATE public.setting SET word = 'changed' WHERE key = 'key ' || (random() * 60)::int",
    "INSERT INTO public.setting (key) VALUES ('new ' || random())",
)
THROUGH = "INSERT INTO shop.account (tenant, \"fullName\") VALUES (1, 'through the swap') RETURNING id::text"
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
