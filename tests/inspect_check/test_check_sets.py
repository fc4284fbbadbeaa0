"""Sets that the plan lets be swapped apart, though queries join their columns: told with the evidence."""

from __future__ import annotations

import psycopg
import pytest
from support.runs.attacks import Attack

from inspect_check.conftest import Database, codes

pytestmark = pytest.mark.catalogue

TABLES = {"account": ["id"], "entry": ["id", "account_ref"], "audit": ["account_ref"], "lonely": ["id"]}


@pytest.mark.contrib
@pytest.mark.attack("C6", '`sets = "apart"` for columns that queries join')
def test_joins_between_sets_are_told_with_their_evidence(database: Database, attack: Attack) -> None:
    # Given columns that values, a statement and a function join, and no foreign key does
    database.run(
        "CREATE EXTENSION pg_stat_statements",
        # Full of other tests' statements it would forget those that are called once.
        "SELECT pg_stat_statements_reset()",
        "CREATE TABLE account (id varchar(36) PRIMARY KEY)",
        "CREATE TABLE entry (id varchar(36) PRIMARY KEY, account_ref varchar(36))",
        "CREATE TABLE audit (n int PRIMARY KEY, account_ref varchar(36))",
        "CREATE TABLE lonely (id varchar(36) PRIMARY KEY)",
        "INSERT INTO account SELECT gen_random_uuid() FROM generate_series(1, 30)",
        "INSERT INTO entry SELECT gen_random_uuid(), id FROM account",
        "INSERT INTO lonely SELECT gen_random_uuid() FROM generate_series(1, 30)",
        "CREATE FUNCTION trail() RETURNS bigint LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN (SELECT count(*) FROM audit d JOIN entry e ON d.account_ref = e.account_ref); END $$",
    )
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("SELECT count(*) FROM audit JOIN account ON account.id = audit.account_ref")
    text = database.plan_text(TABLES)
    # Then by default all are one set, and there is nothing to tell
    assert "sets_apart" not in codes(database.check_text(text).warnings)
    report = database.check_text(text + '[options]\nsets = "apart"\n')
    found = {tuple(f.details["tables"]): f for f in report.warnings if f.code == "sets_apart"}
    assert found.keys() == {
        ("public.account", "public.entry"),
        ("public.account", "public.audit"),
        ("public.audit", "public.entry"),
    }
    assert "sampled" in found["public.account", "public.entry"].message
    assert "called 1 time" in found["public.account", "public.audit"].message
    assert "trail" in found["public.audit", "public.entry"].message
    attack.record("told with evidence", tried=3)
