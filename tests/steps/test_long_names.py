"""Scripts over tables whose names are as long as names can be, and differ at their ends alone."""

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from support.schemas.names import longest

from producer.scripts.run_script import ScriptRunner
from steps.conftest import Compile

pytestmark = pytest.mark.catalogue

LETTERS = pytest.mark.parametrize("letter", ["x", "ж", "🙂"], ids=["one byte", "two bytes", "four bytes"])


@LETTERS
def test_each_table_gets_a_unique_index_for_its_new_field(
    app: psycopg.Connection, compiled: Compile, runner: ScriptRunner, letter: str
) -> None:
    names = [longest(letter, ending) for ending in "12"]
    for name in names:
        app.execute(SQL("CREATE TABLE {} (id int)").format(Identifier(name)))
    step = compiled(1, uuid_fields={"column": longest(letter, "c"), "tables": names})
    runner.run(step.forward)
    for name in names:
        found = app.execute(
            "SELECT count(*) FROM pg_index WHERE indrelid = quote_ident(%s)::regclass AND indisunique", [name]
        )
        assert found.fetchone() == (1,)
    runner.run(step.back)
    left = app.execute(
        "SELECT count(*) FROM pg_index WHERE indrelid = ANY (SELECT quote_ident(n)::regclass"
        " FROM unnest(%s::text[]) AS n)",
        [names],
    )
    assert left.fetchone() == (0,)


@LETTERS
def test_each_partition_gets_its_index_for_a_foreign_key(
    app: psycopg.Connection, compiled: Compile, runner: ScriptRunner, letter: str
) -> None:
    parted, column = longest(letter, "p"), longest(letter, "c")
    app.execute(
        SQL("CREATE TABLE {} (id int, {} text REFERENCES account) PARTITION BY LIST (id)").format(
            Identifier(parted), Identifier(column)
        )
    )
    for number in range(2):
        part = SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES IN ({})")
        app.execute(part.format(Identifier(longest(letter, f"p{number}")), Identifier(parted), number))
    step = compiled(2, indexes={"tables": [parted]})
    runner.run(step.forward)
    found = app.execute(
        "SELECT count(*), bool_and(indisvalid) FROM pg_index WHERE indrelid IN (SELECT relid FROM"
        " pg_partition_tree(quote_ident(%s)))",
        [parted],
    )
    assert found.fetchone() == (3, True)
    assert not compiled(2, indexes={"tables": [parted]}).forward.blocks
    runner.run(step.back)
