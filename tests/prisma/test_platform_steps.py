"""The platform of 71 models after phases 1 to 3 of a plan with steps and enums: the file leaves nothing to do."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.runs.harness import Rebuild

from demo.datasets.platform import create_platform, read_schema_file, read_script
from demo.embedded import EmbeddedPostgres
from prisma import engine
from prisma.engine import Migration
from producer.history.changes.step_changes import own_schemas
from producer.history.migration.migration import unchanged
from producer.planning.resolution import PlanFile
from producer.prisma.changes.planned_changes import planned_changes
from producer.prisma.changes.rewrite import rewrite
from producer.prisma.migration.script import migration_script
from producer.prisma.schema.listed_schemas import listed_schemas
from producer.prisma.schema.reader import read_schema
from producer.starting.begin import begin_or_resume
from replank.plan.plan import Plan
from sql.session.connection import connect

pytestmark = [pytest.mark.prisma, pytest.mark.timeout(900)]

STEPS = {
    "uuid_fields": {"tables": ["Slug", "Locale"]},
    "indexes": {
        "tables": ["Payment", "InvoiceLine", "Content", "Tenant"],
        "add": [
            {"name": "late payments", "table": "Payment", "columns": ["paidAt", "method"], "include": ["amount"]},
            {"name": "one_per_day", "table": "Payment", "columns": ["id", "paidAt"], "unique": True},
            {"name": "cheap", "table": "Payment", "columns": ["amount"], "where": "amount < 10"},
        ],
    },
    "audit_log": {"tables": ["Payment"]},
    "permission_cache": {
        "query": "SELECT \"id\" AS user_id, NULL::text AS tenant_id, '[]'::jsonb AS permissions, '[]'::jsonb AS roles"
        ' FROM public."User"',
        "sources": [{"table": "User", "user": "id"}],
    },
    "enums": [
        {"name": "payment_method", "values": ["card", "transfer", "wallet", "by cheque"]},
        {"name": "SubscriptionStatus", "values": ["TRIALING", "ACTIVE", "PAST_DUE", "CANCELLED"]},
        {"name": "account_kind", "values": ["robot"], "rename": {"team": "crew"}},
        {"name": "invoice_status", "values": ["open", "paid", "void"]},
        {"name": "nowhere_used", "values": ["one"]},
    ],
}
STATES = {"trialing": "TRIALING", "active": "ACTIVE", "past_due": "PAST_DUE", "cancelled": "CANCELLED"}
TABLES = [
    {"name": "Payment", "columns": [{"name": "method", "to": "enum", "type": "payment_method"}]},
    {
        "name": "Subscription",
        "columns": [{"name": "status", "to": "enum", "type": "public.SubscriptionStatus", "map": STATES}],
    },
    {
        "name": "Invoice",
        "columns": [{"name": "status", "to": "enum", "type": "invoice_status"}],
        "add": [{"name": "kind", "type": "public.invoice_status", "default": "'paid'"}],
    },
]


@dataclass(frozen=True, kw_only=True)
class Migrated:
    url: str
    plan: Plan
    planned: str
    planned_migration: str
    after: str


@pytest.fixture(scope="module")
def migrated(postgres: EmbeddedPostgres) -> Iterator[Migrated]:
    url = postgres.create_database("platform_steps")
    create_platform(url, rows=3_000)
    plan = Plan.model_validate({"database": {"name": "platform_steps"}, "tables": TABLES, "steps": STEPS})
    with connect(url, name="test") as connection:
        planned = _rewritten(url, plan)
        before = migration_script(connection, plan, "public")
        assert len(unchanged(connection, plan)) == 4
        begin_or_resume(connection, PlanFile(plan=plan, source="plan.toml", text=""), hold_cutover=True)
    rebuild = Rebuild.attach(url)
    while rebuild.take_script():
        rebuild.refuse_stuck()
    rebuild.finish()
    rebuild.close()
    yield Migrated(url=url, plan=plan, planned=planned, planned_migration=before, after=_rewritten(url, plan))
    postgres.drop_database("platform_steps")


def _rewritten(url: str, plan: Plan, text: str | None = None) -> str:
    text = text or read_schema_file()
    with connect(url, name="test") as connection:
        return rewrite(text, planned_changes(connection, plan, read_schema(text), "public"))


def test_the_rewritten_file_leaves_nothing_to_do(migrated: Migrated) -> None:
    engine.validate(migrated.after)
    assert engine.formatted(migrated.after) == migrated.after
    assert engine.difference(migrated.url, migrated.after) == []
    assert migrated.planned == migrated.after
    assert _rewritten(migrated.url, migrated.plan, migrated.after) == migrated.after
    with connect(migrated.url, name="test") as connection:
        assert unchanged(connection, migrated.plan) == []


def test_it_says_enums_fields_and_indexes(migrated: Migrated) -> None:
    for words in (
        r"status +SubscriptionStatus +@default\(ACTIVE\)",
        r"method +PaymentMethod\b",
        r'by_cheque +@map\("by cheque"\)',
        r'TEAM +@map\("crew"\)',
        r"\n +robot\n",
        r'uuid +String +@unique @default\(dbgenerated\("gen_random_uuid\(\)"\)\) @db.Uuid',
        r'@@index\(\[paidAt, method, amount\], map: "late payments"\)',
        r'@@unique\(\[id, paidAt\], map: "one_per_day"\)',
        r"kind +InvoiceStatus\? +@default\(paid\)",
    ):
        assert re.search(words, migrated.after), words
    assert len(read_schema(migrated.after).models) == 71


def test_the_migration_makes_the_same_of_an_empty_database(migrated: Migrated) -> None:
    with connect(migrated.url, name="test") as connection:
        script = migration_script(connection, migrated.plan, "public")
    first = Migration(name="20240101000000_init", script=read_script())
    for second in (script, migrated.planned_migration):
        made = [first, Migration(name="20240102000000_replank", script=second)]
        assert engine.difference_from_migrations(migrated.url, made, migrated.after) == []


def test_a_file_that_names_the_schema_of_a_step_is_told() -> None:
    plan = Plan.model_validate({"database": {"name": "x"}, "steps": STEPS})
    listed = 'datasource db {\n  provider = "postgresql"\n  schemas  = ["public", "audit"]\n}\n'
    assert listed_schemas(read_schema(listed), own_schemas(plan.steps)) == ["audit"]
