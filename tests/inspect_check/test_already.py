"""What a database has already of a plan: left out where that is proved, taken along where others need it, and named."""

from __future__ import annotations

import pytest

from inspect_check.conftest import Database, codes, only
from producer.planning.resolution import PlanFile, resolve
from replank.errors import WrongUse
from replank.plan.plan import parse_plan
from sql.session.connection import connect

pytestmark = pytest.mark.catalogue


def left(database: Database, text: str) -> dict[str, str]:
    """Tables of which something is left to do, each with the method that the plan says then."""
    file = PlanFile(plan=parse_plan(text, source="plan.toml"), source="plan.toml", text=text)
    with connect(database.url, name="test") as connection:
        return {planned.name: planned.method for planned, _ in resolve(connection, file).tables}


def test_every_target_type_is_recognised_and_the_rest_of_the_table_is_still_converted(database: Database) -> None:
    # Given columns that are what the plan wants, also through a domain, and one that is not yet
    database.run(
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE DOMAIN key AS uuid",
        "CREATE TABLE done (id uuid PRIMARY KEY, ref key, many uuid[], mood mood)",
        "CREATE TABLE half (id uuid PRIMARY KEY, ref text)",
    )
    more = '{name = "many", to = "uuid[]"}, {name = "mood", to = "enum", type = "public.mood"}]'
    plan = database.plan_text({"done": ["id", "ref"], "half": ["id", "ref"]})
    plan = plan.replace('"uuid"}]\n[[', f'"uuid"}}, {more}\n[[')
    # Then they are named, the table that has all is left alone, and the other is not
    report = database.check_text(plan)
    assert codes(report.blockers) == []
    assert [one.place for one in report.already] == [
        "public.done.id",
        "public.done.ref",
        "public.done.many",
        "public.done.mood",
        "public.half.id",
    ]
    assert report.tables == 1
    assert left(database, plan) == {"half": "auto"}


def test_another_default_than_the_plans_is_a_warning_with_the_statement(database: Database) -> None:
    database.run("CREATE TABLE t (id uuid PRIMARY KEY, same uuid DEFAULT pg_catalog.gen_random_uuid())")
    plan = database.plan_text({"t": ["id", "same"]}).replace(
        'to = "uuid"', 'to = "uuid", default = "gen_random_uuid()"'
    )
    found = only(database.check_text(plan).warnings, "already_differs")
    assert (found.table, found.column) == ("public.t", "id")
    assert "ALTER TABLE public.t ALTER COLUMN id SET DEFAULT gen_random_uuid()" in found.hint


def test_what_the_catalogue_cannot_prove_is_done(database: Database) -> None:
    # Given an added column that is there and may hold NULLs, and one that must be overwritten
    database.run("CREATE TABLE t (id uuid PRIMARY KEY, made_at timestamptz, n int NOT NULL)")
    plan = database.plan_text({"t": ["id"]})
    added = (
        plan + '[[tables.add]]\nname = "made_at"\ntype = "timestamp with time zone"\nvalue = "now()"\nstable = false\n'
    )
    report = database.check_text(added)
    assert codes(report.blockers) == []
    assert left(database, added) == {"t": "auto"}
    filled = plan + '[[tables.fill]]\nname = "n"\nvalue = "7"\nonly_null = false\n'
    assert left(database, filled) == {"t": "auto"}
    proved = plan + '[[tables.fill]]\nname = "n"\nvalue = "7"\n'
    assert left(database, proved) == {}


def test_a_mistake_has_its_line_although_what_stands_before_it_is_done(database: Database) -> None:
    database.run("CREATE TABLE t (id uuid PRIMARY KEY, n int)")
    text = 'version = 1\n[database]\nname = "*"\n[[tables]]\nname = "t"\n'
    text += '[[tables.columns]]\nname = "id"\nto = "uuid"\n[[tables.columns]]\nname = "n"\nto = "uuid"\n'
    with pytest.raises(WrongUse, match=r"plan\.toml:10: public\.t\.n is integer"):
        left(database, text)


def test_tables_that_others_take_along_are_rebuilt_though_they_are_done(database: Database) -> None:
    # Given rows that may be kept aside, a table that refers to them and has its type, and one that does not refer
    database.run(
        "CREATE TABLE users (id uuid PRIMARY KEY, token text)",
        "CREATE TABLE note (id uuid PRIMARY KEY, user_id uuid REFERENCES users)",
        "CREATE TABLE alone (id uuid PRIMARY KEY)",
    )
    plan = database.plan_text({"users": ["id", "token"], "note": ["id", "user_id"], "alone": ["id"]})
    plan = plan.replace('"token", to = "uuid"', '"token", to = "uuid", on_invalid = "quarantine"')
    assert left(database, plan) == {"users": "rebuild", "note": "rebuild"}
    assert codes(database.check_text(plan).blockers) == []


def test_a_family_is_rebuilt_as_a_whole_or_not_at_all(database: Database) -> None:
    database.run(
        "CREATE TABLE parent (id uuid PRIMARY KEY)",
        "CREATE TABLE child (own_id text, PRIMARY KEY (id)) INHERITS (parent)",
        "CREATE TABLE other (id text PRIMARY KEY)",
    )
    whole = database.plan_text({"parent": ["id"], "child": ["id", "own_id"], "other": ["id"]})
    assert left(database, whole) == {"parent": "rebuild", "child": "auto", "other": "auto"}
    assert codes(database.check_text(whole).blockers) == []
    database.run("ALTER TABLE child ALTER own_id TYPE uuid USING own_id::uuid")
    assert left(database, whole) == {"other": "auto"}
    beside = database.plan_text({"parent": [], "child": ["id", "own_id"], "other": ["id"]})
    assert left(database, beside) == {"other": "auto"}
    assert "public.parent" in [one.place for one in database.check_text(beside).already]


@pytest.mark.parametrize(
    ("plan", "there", "done"),
    [
        ('by = "range", column = "n", bounds = [1, 10, 20]', "FROM (1) TO (10) | FROM (10) TO (20)", True),
        ('by = "range", column = "n", bounds = [1, 10, 20]', "FROM (1) TO (11) | FROM (11) TO (20)", False),
        ('by = "list", column = "n", values = {p0 = [1, 2], p1 = [3]}', "IN (1, 2) | IN (3)", True),
        ('by = "list", column = "n", values = {p0 = [1, 2], p1 = [3]}', "IN (1, 3) | IN (2)", False),
    ],
)
def test_partitions_are_there_only_with_the_bounds_that_the_plan_says(
    database: Database, plan: str, there: str, done: bool
) -> None:
    kind = "LIST" if "IN" in there else "RANGE"
    database.run(
        f"CREATE TABLE t (id uuid, n int NOT NULL, PRIMARY KEY (id, n)) PARTITION BY {kind} (n)",
        *(f"CREATE TABLE t_p{i} PARTITION OF t FOR VALUES {bound}" for i, bound in enumerate(there.split(" | "))),
    )
    text = database.plan_text({"t": ["id"]}) + f"\n[tables.partition]\n{plan.replace(', ', chr(10), 2)}\n"
    assert left(database, text) == ({} if done else {"t": "auto"})
