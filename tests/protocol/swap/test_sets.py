"""Which tables change places together: all whose types change, unless the plan says otherwise."""

from collections.abc import Callable

import psycopg
import pytest
from support.oracles.oracle import column_type, live, one
from support.runs.attacks import Attack
from support.runs.harness import Rebuild, table

from producer.operator.operator import Operator
from producer.operator.pausing import pause, resume
from producer.operator.scope import scope_of
from sql.ledger.runs import runs

pytestmark = pytest.mark.protocol

Begin = Callable[..., Rebuild]
ANNA = Operator(name="anna", via="page")
JOIN = "SELECT count(*) FROM account JOIN entry ON entry.account_ref = account.id"


@pytest.fixture
def ledger_of_accounts(app: psycopg.Connection) -> psycopg.Connection:
    """Two tables that queries join and no foreign key does, and one whose types stay."""
    app.execute("CREATE TABLE account (id varchar(36) PRIMARY KEY)")
    app.execute("CREATE TABLE entry (id varchar(36) PRIMARY KEY, account_ref varchar(36) NOT NULL)")
    app.execute("CREATE TABLE alone (id int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())")
    app.execute("INSERT INTO account SELECT gen_random_uuid()::text FROM generate_series(1, 50)")
    app.execute("INSERT INTO entry SELECT gen_random_uuid()::text, id FROM account")
    app.execute("INSERT INTO alone SELECT generate_series(1, 50)")
    return app


ACCOUNTS = (table("account", "id"), table("entry", "id", "account_ref"), table("alone", method="rebuild"))


def _joins_after_each_turn(app: psycopg.Connection, rebuild: Rebuild) -> list[bool]:
    """Whether the application's join finds all its rows, after each of the turns that end with every set swapped."""
    runs.set_hold(rebuild.connection, rebuild.run_id, hold_cutover=False)
    held: list[bool] = []
    while any(one_set.swapped_at is None for one_set in rebuild.sets):
        assert len(held) < 400
        rebuild.refuse_stuck()
        if not rebuild.turn():
            rebuild.pass_time()
            rebuild.work("drain")
        try:
            held.append(one(app, JOIN) == 50)
        except psycopg.errors.UndefinedFunction:
            held.append(False)
    return held


@pytest.mark.attack("C6", "two converted columns that queries join, and no foreign key does")
def test_converted_tables_change_places_together(
    ledger_of_accounts: psycopg.Connection, begin: Begin, attack: Attack
) -> None:
    app = ledger_of_accounts
    rebuild = begin(*ACCOUNTS)
    rebuild.ready()
    held = _joins_after_each_turn(app, rebuild)
    assert all(held), f"{held.count(False)} of {len(held)} joins failed"
    # A table whose types stay breaks no join: it waits for nobody, and nobody for it
    numbers = {member.spec.name: member.set_no for member in rebuild.tables}
    assert numbers["account"] == numbers["entry"] != numbers["alone"]
    rebuild.finish()
    attack.record("swapped in one transaction", tried=len(held))


@pytest.mark.attack("C6", "one of them is paused when the others are cut over")
def test_a_paused_table_holds_all_whose_types_change(
    ledger_of_accounts: psycopg.Connection, begin: Begin, attack: Attack
) -> None:
    app = ledger_of_accounts
    rebuild = begin(*ACCOUNTS)
    rebuild.ready()
    entry = scope_of(rebuild.connection, rebuild.run, table="entry")
    pause(rebuild.connection, rebuild.run, entry, by=ANNA)
    rebuild.try_for_a_while()
    assert one(app, JOIN) == 50
    assert column_type(app, live("account"), "id") == "character varying(36)"
    problems = {member.spec.name: rebuild.sets[member.set_no - 1].problem for member in rebuild.tables}
    assert "public.entry is paused by anna" in problems["account"]
    assert rebuild.sets[rebuild.table("alone").set_no - 1].swapped_at is not None
    resume(rebuild.connection, rebuild.run, entry, by=ANNA)
    assert all(_joins_after_each_turn(app, rebuild))
    rebuild.finish()
    attack.record("all waited for the paused one")


def test_the_plan_may_say_that_sets_are_swapped_apart(ledger_of_accounts: psycopg.Connection, begin: Begin) -> None:
    rebuild = begin(*ACCOUNTS, sets="apart")
    assert len(rebuild.sets) == 3
    rebuild.ready()
    rebuild.finish()
    assert one(ledger_of_accounts, JOIN) == 50
