"""What belongs to a whole server and stays behind is seen, whatever it is."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from demo.embedded import EmbeddedPostgres
from support.servers.shared import drop_roles, new_database, shared, template

pytestmark = pytest.mark.protocol

FORGETFUL = """
import psycopg
from support.servers.shared import *

def test_it(postgres):
    with psycopg.connect(postgres.url(), autocommit=True) as session:
        session.execute("CREATE ROLE forgotten")
"""


@pytest.mark.parametrize(
    ("made", "undone", "left"),
    [
        (["CREATE ROLE stayed"], ["DROP ROLE stayed"], ["role stayed"]),
        (["CREATE DATABASE stayed"], ["DROP DATABASE stayed"], ["database stayed"]),
        (
            ["SELECT pg_create_physical_replication_slot('stayed')"],
            ["SELECT pg_drop_replication_slot('stayed')"],
            ["slot stayed"],
        ),
        (
            ["CREATE SUBSCRIPTION stayed CONNECTION '' PUBLICATION p WITH (connect = false, slot_name = NONE)"],
            ["DROP SUBSCRIPTION stayed"],
            ["origin pg_", "subscription stayed"],
        ),
        (["SET allow_in_place_tablespaces = on", "CREATE TABLESPACE stayed LOCATION ''"], ["DROP TABLESPACE stayed"],
         ["tablespace stayed"]),
        (["BEGIN", "PREPARE TRANSACTION 'stayed'"], ["ROLLBACK PREPARED 'stayed'"], ["prepared transaction stayed"]),
        (
            ["ALTER SYSTEM SET work_mem = '5MB'", "SELECT pg_reload_conf()"],
            ["ALTER SYSTEM RESET work_mem", "SELECT pg_reload_conf()"],
            ["ALTER SYSTEM work_mem"],
        ),
        (
            ["ALTER ROLE postgres SET work_mem = '5MB'"],
            ["ALTER ROLE postgres RESET work_mem"],
            ["setting work_mem=5MB"],
        ),
        (
            ["CREATE ROLE stayed", "GRANT pg_monitor TO stayed", "GRANT SET ON PARAMETER work_mem TO stayed"],
            ["DROP OWNED BY stayed", "DROP ROLE stayed"],
            ["member stayed of pg_monitor", "parameter work_mem for stayed", "role stayed"],
        ),
    ],
    ids=lambda said: said[-1] if said and said[0][0].islower() else "",
)  # fmt: skip
def test_whatever_stays_on_the_server_is_named(
    app: psycopg.Connection, made: list[str], undone: list[str], left: list[str]
) -> None:
    before = shared.objects()
    for statement in made:
        app.execute(statement.encode())
    try:
        found = shared.left(before)
        assert len(found) == len(left)
        assert all(name.startswith(start) for name, start in zip(found, left, strict=True)), found
    finally:
        for statement in undone:
            app.execute(statement.encode())
    assert shared.left(before) == []


def test_a_template_outlives_a_module_and_goes_with_its_fixture(postgres: EmbeddedPostgres) -> None:
    before = shared.objects()
    with template(postgres, "kept", lambda _: None) as name:
        assert shared.left(before) == []
        with new_database(postgres, template=name):
            assert len(shared.left(before)) == 1
    assert shared.objects() == before


def test_roles_go_with_all_that_the_server_grants_them(postgres: EmbeddedPostgres) -> None:
    before = shared.objects()
    with psycopg.connect(postgres.url(), autocommit=True) as session:
        session.execute("CREATE ROLE some_owner; CREATE ROLE some_member; GRANT some_owner TO some_member")
        session.execute("GRANT SET ON PARAMETER work_mem TO some_owner")
    assert len(shared.left(before)) == 4
    drop_roles(postgres, "some_owner", "some_member")
    assert shared.objects() == before


def test_a_module_that_leaves_something_fails(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule as it is for each module, in a session with a server of its own."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    pytester.makepyfile(FORGETFUL)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1, errors=1)
