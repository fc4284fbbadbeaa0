"""A small platform that a run has gone through to its end: steps, conversion, caches; each test gets a copy of it."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import psycopg
from support.runs.harness import Rebuild

from producer.planning.resolution import PlanFile
from producer.starting.begin import begin_or_resume
from replank.plan.plan import Plan
from replank.values.states import RunState
from sql.session.connection import connect

SCHEMA = """
CREATE TABLE tenant (id text PRIMARY KEY DEFAULT gen_random_uuid()::text, name text NOT NULL);
CREATE TABLE account (id text PRIMARY KEY, tenant_id text NOT NULL REFERENCES tenant ON DELETE CASCADE,
  email varchar(60) NOT NULL UNIQUE);
CREATE TABLE profile (id text PRIMARY KEY, account_id text NOT NULL UNIQUE REFERENCES account ON DELETE CASCADE,
  score numeric(5, 2) CHECK (score >= 0));
CREATE TABLE membership (account_id text REFERENCES account, tenant_id text REFERENCES tenant, role text NOT NULL,
  PRIMARY KEY (account_id, tenant_id));
CREATE TABLE tag (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text NOT NULL);
CREATE TABLE "_AccountToTag" ("A" text NOT NULL REFERENCES account ON DELETE CASCADE,
  "B" int NOT NULL REFERENCES tag ON DELETE CASCADE, UNIQUE ("A", "B"));
CREATE TABLE "<b>note</b>" (id bigserial PRIMARY KEY, account_id text REFERENCES account, at timestamptz NOT NULL);
CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY, applied int NOT NULL DEFAULT 0);
COMMENT ON TABLE account IS 'Who may <i>log in</i>';
"""

ROWS = """
INSERT INTO tenant SELECT md5('t' || g)::uuid::text, 'Tenant ' || g FROM generate_series(1, 5) AS g;
INSERT INTO account SELECT md5('a' || g)::uuid::text, md5('t' || 1 + g % 5)::uuid::text, g || '@example.org'
  FROM generate_series(1, 300) AS g;
INSERT INTO profile SELECT md5('p' || g)::uuid::text, md5('a' || g)::uuid::text, 1 FROM generate_series(1, 300) AS g;
INSERT INTO membership SELECT id, tenant_id, 'member' FROM account;
INSERT INTO tag (label) SELECT 'tag ' || g FROM generate_series(1, 20) AS g;
INSERT INTO "_AccountToTag" SELECT id, 1 + length(email) FROM account;
ANALYZE;
"""

TABLES = ("tenant", "account", "profile", "membership", "tag", "_AccountToTag", "<b>note</b>", "_prisma_migrations")

SEVEN = uuid.UUID(hashlib.md5(b"a7").hexdigest())
"""The id of the seventh account."""

BY_ID = f"SELECT * FROM account WHERE id = '{SEVEN}'"  # noqa: S608


def _columns(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "to": "uuid"} for name in names]


def plan_for(database: str, **success: Any) -> Plan:
    """What the world's run does; `success` is the plan's section of that name."""
    asked = {
        "repeat": 3,
        "probe_audit": True,
        "queries": [
            {"name": "an account", "sql": BY_ID},
            {"name": "members", "sql": "SELECT a.email, t.name FROM account a JOIN tenant t ON t.id = a.tenant_id"},
        ],
    }
    tables = [
        {"name": "tenant", "columns": _columns("id")},
        {"name": "account", "columns": [*_columns("id", "tenant_id")]},
        {"name": "profile", "columns": _columns("id", "account_id")},
        {"name": "membership", "columns": _columns("account_id", "tenant_id")},
        {"name": "_AccountToTag", "columns": _columns("A")},
        {"name": "<b>note</b>", "columns": _columns("account_id")},
    ]
    permissions = (
        "SELECT m.account_id AS user_id, m.tenant_id, jsonb_build_array(m.role) AS permissions, '[]'::jsonb AS roles"
        " FROM public.membership AS m"
    )
    steps = {
        "uuid_fields": {"tables": ["tag"]},
        "audit_log": {},
        "permission_cache": {"query": permissions, "sources": [{"table": "membership", "user": "account_id"}]},
    }
    return Plan.model_validate(
        {
            "name": "<plan & world>",
            "database": {"name": database},
            "tables": tables,
            "steps": steps,
            "success": {**asked, **success},
        }
    )


def begin_run(url: str, plan: Plan) -> None:
    """Write the run into the ledger; no script has run."""
    with connect(url, name="setup") as connection:
        begin_or_resume(connection, PlanFile(plan=plan, source="plan.toml", text=""), hold_cutover=False)


def run_to_the_end(url: str) -> None:
    """The scripts of phase 1, then the rebuild, in this process."""
    rebuild = Rebuild.attach(url)
    try:
        while rebuild.take_script():
            assert rebuild.run.state is RunState.RUNNING, rebuild.run.reason
        rebuild.finish()
    finally:
        rebuild.close()


def create_world(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SCHEMA)
        connection.execute(ROWS)


def content(connection: psycopg.Connection, *more: str) -> dict[str, tuple[int, str]]:
    """Table → number and hash of its rows."""
    found: dict[str, tuple[int, str]] = {}
    for name in (*TABLES, *more):
        row = connection.execute(
            psycopg.sql.SQL("SELECT count(*), md5(string_agg(r::text, ',' ORDER BY r::text)) FROM {} AS r").format(
                psycopg.sql.Identifier(*name.split("."))
            )
        ).fetchone()
        assert row is not None
        found[name] = (row[0], row[1])
    return found
