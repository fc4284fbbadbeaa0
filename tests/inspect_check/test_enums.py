"""Enums before the run: what check finds against them, with types that step 05 will make, and what inspect proposes."""

from typing import Any

import pytest
from pydantic import SecretStr

from inspect_check.conftest import Counting, Database, codes, only
from producer.check.check import audit
from producer.check.findings import Report
from producer.cli.inspect_and_check import with_enums
from producer.inspect.decision import propose
from producer.inspect.evidence import read_evidence
from producer.inspect.plan_writer import write_plan
from producer.planning.resolution import PlanFile
from replank.errors import WrongUse
from replank.plan.plan import Plan, parse_plan
from replank.settings import Settings
from sql.session.connection import connect

pytestmark = pytest.mark.catalogue

TASKS = """
CREATE TABLE tasks (id text PRIMARY KEY, state text NOT NULL DEFAULT 'open', kind varchar(10), note text)
"""
ROWS = """
INSERT INTO tasks SELECT gen_random_uuid()::text, (ARRAY['open', 'done', 'in progress'])[1 + g % 3],
       (ARRAY['big', 'small'])[1 + g % 2], md5(g::text) FROM generate_series(1, 300) AS g
"""
STATE = {"name": "state", "to": "enum", "type": "task_state"}
KIND = {"name": "kind", "to": "enum", "type": "public.kind"}
ENUMS = [
    {"name": "task_state", "values": ["open", "in progress", "done"]},
    {"name": "kind", "values": ["huge"], "rename": {"BIG": "big"}},
]


def _check(database: Database, *columns: dict[str, Any], steps: bool = True, **options: bool) -> Report:
    said = {"tables": [{"name": "tasks", "columns": columns}], "options": options}
    plan = Plan.model_validate(
        {"database": {"name": database.name}, **said, "steps": {"enums": ENUMS} if steps else {}}
    )
    file = PlanFile(plan=plan, source="plan.toml", text="")
    return audit(Settings(database_url=SecretStr(database.url)), file, workers=1, watch=Counting())


@pytest.fixture
def tasks(database: Database) -> Database:
    database.run(TASKS, ROWS, "CREATE TYPE kind AS ENUM ('BIG', 'small')", "ANALYZE tasks")
    return database


def test_types_that_step_05_will_make_are_tried_and_leave_nothing_behind(tasks: Database) -> None:
    found = _check(tasks, STATE, KIND)
    assert codes(found.blockers) == codes(found.warnings) == []
    assert tasks.rows("SELECT enumlabel FROM pg_enum ORDER BY 1") == [("BIG",), ("small",)]
    with pytest.raises(WrongUse, match=r"enum task_state does not exist, and \[\[steps.enums\]\] does not create it"):
        _check(tasks, STATE, steps=False)


def test_values_are_counted_and_named(tasks: Database) -> None:
    tasks.run(
        "UPDATE tasks SET state = 'Open' WHERE ctid < '(0,6)'", "UPDATE tasks SET state = '' WHERE ctid = '(0,50)'"
    )
    found = only(_check(tasks, STATE).blockers, "not_convertible")
    assert "values are not values of public.task_state, such as '', 'Open'" in found.message
    assert found.details["count"] == tasks.rows("SELECT count(*) FROM tasks WHERE state IN ('Open', '')")[0][0]
    found = only(_check(tasks, {**STATE, "map": {"Open": "open", "": "open"}}).warnings, "odd_spelling")
    assert "'open'" in found.message
    aside = only(_check(tasks, {**STATE, "on_invalid": "quarantine"}).warnings, "quarantined")
    assert "for a text that does not convert" in aside.message
    default = "ALTER TABLE tasks ALTER state SET DEFAULT 'new'"
    tasks.run("UPDATE tasks SET state = 'open' WHERE state IN ('Open', '')", default)
    assert "its default 'new'::text is not a valid public.task_state" in only(
        _check(tasks, STATE).blockers, "default_not_convertible"
    ).message  # fmt: skip


def test_keys_that_become_equal_are_found_before_the_type_is_there(tasks: Database) -> None:
    tasks.run(
        "CREATE UNIQUE INDEX one_each ON tasks (state, note)",
        "INSERT INTO tasks VALUES ('x', 'Open', NULL, 'n'), ('y', 'open', NULL, 'n')",
    )
    found = only(_check(tasks, {**STATE, "map": {"Open": "open"}}).blockers, "collision")
    assert "become the same public.task_state: (Open, n) and (open, n)" in found.message


def test_what_an_operator_should_know(tasks: Database) -> None:
    tasks.run(
        "CREATE INDEX by_state ON tasks (state)",
        "ALTER TABLE tasks ADD CHECK (state <> 'never')",
        "CREATE FUNCTION of(wanted text) RETURNS bigint LANGUAGE plpgsql AS"
        " 'BEGIN RETURN (SELECT count(*) FROM tasks WHERE state = wanted); END'",
    )
    found = _check(tasks, {**STATE, "consent": ["enum_checks"], "map": {"later": "open"}}, text_casts=True)
    assert codes(found.blockers) == []
    named = {"enum_map", "enum_order", "enum_check_dropped", "text_casts_no_enums", "function_compares_text"}
    assert named <= set(codes(found.warnings))
    assert "by_state" in only(found.warnings, "enum_order").message
    assert "public.task_state = text has no operator" in only(found.warnings, "function_compares_text").message
    assert codes(_check(tasks, STATE).blockers) == ["enum_checks_lost"]


def test_ends_of_a_foreign_key_become_the_same(database: Database) -> None:
    database.run(
        "CREATE TYPE kind AS ENUM ('BIG', 'small')",
        "CREATE TABLE states (code text PRIMARY KEY)",
        "CREATE TABLE tasks (id int PRIMARY KEY, state text REFERENCES states) PARTITION BY RANGE (id)",
    )
    found = _check(database, STATE)
    assert codes(found.blockers) == ["foreign_key_torn"]
    assert "there is no operator public.task_state = text" in only(found.blockers, "foreign_key_torn").message


def test_few_values_are_proposed_as_comments(tasks: Database) -> None:
    tasks.run("CREATE TABLE sizes (id text PRIMARY KEY, size text)", "CREATE TYPE size AS ENUM ('L', 'S', 'M')")
    tasks.run("INSERT INTO sizes SELECT id, (ARRAY['S', 'M', 'L'])[1 + ascii(note) % 3] FROM tasks", "ANALYZE sizes")
    with connect(tasks.url, name="inspect", settings={"default_transaction_read_only": "on"}) as connection:
        evidence = read_evidence(connection, sample_rows=1_000)
        proposal = with_enums(connection, evidence, propose(evidence))
    assert {(e.table, e.column): (e.type[1], e.there, e.values) for e in proposal.enums} == {
        ("sizes", "size"): ("size", True, ("L", "M", "S")),
        ("tasks", "kind"): ("tasks_kind", False, ("big", "small")),
        ("tasks", "state"): ("tasks_state", False, ("done", "in progress", "open")),
    }
    text = write_plan(proposal)
    assert '# name = "tasks_state"' in text
    assert '{ name = "state", to = "enum", type = "tasks_state" }' in text
    assert parse_plan(text, source="plan.toml").steps.enums == ()
    # And with the comments taken off it is a plan
    own = text[text.index("# [[steps.enums]]") :].splitlines()
    bare = "\n".join(line.removeprefix("# ") for line in own if (" = " in line and "among" not in line) or "[[" in line)
    assert {enum.name for enum in parse_plan(text + bare, source="plan.toml").steps.enums} == {
        "tasks_kind",
        "tasks_state",
    }
