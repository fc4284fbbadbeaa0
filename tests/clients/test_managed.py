"""Servers without a superuser: what can be had there instead of `text_casts`, and what not."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from clients import alchemy
from clients.conftest import application_url
from clients.managed import OPERATORS, VIEWS
from clients.measuring import Measured, measure
from demo.embedded import EmbeddedPostgres

PHASES = ("before", "swap, old", "swap, new", "back, old", "back, new")
TYPED = [one for one in alchemy.CLIENTS if one.name.endswith(("psycopg 3, `String`", "asyncpg, `String`"))]
ID = "0123abcd-0123-4567-89ab-0123456789ab"


def _cells(measured: list[Measured], phase: str) -> dict[str, str]:
    return {one.client.name.removeprefix("SQLAlchemy 2 + "): one.cell(phase) for one in measured}


def test_operators_in_the_search_path_let_typed_clients_read_and_not_write(
    postgres: EmbeddedPostgres, database: str
) -> None:
    measured = measure(database, application_url(postgres, database), TYPED, text_casts=False, prepared=OPERATORS)
    assert {one.cell("before") for one in measured} == {"0"}
    assert set(_cells(measured, "swap, new").values()) == {"insert, update"}


def test_views_under_the_old_names_let_typed_clients_read_and_write(postgres: EmbeddedPostgres, database: str) -> None:
    measured = measure(database, application_url(postgres, database), TYPED, text_casts=False, prepared=VIEWS)
    for phase in PHASES:
        assert set(_cells(measured, phase).values()) == {"0"}, phase
    assert {one.read for one in measured} == {"str"}


@pytest.fixture
def owner(postgres: EmbeddedPostgres, database: str) -> psycopg.Connection:
    """The owner of converted tables with many rows, who is no superuser."""
    with psycopg.connect(database, autocommit=True) as superuser:
        superuser.execute(
            f"GRANT CREATE ON DATABASE {superuser.info.dbname} TO app; GRANT CREATE ON SCHEMA public TO app".encode()
        )
    connection = psycopg.connect(application_url(postgres, database), autocommit=True)
    connection.execute(
        "CREATE TABLE owner (id uuid PRIMARY KEY, name text);"
        "CREATE TABLE item (id uuid PRIMARY KEY, owner_id uuid, note text);"
        "INSERT INTO item SELECT gen_random_uuid(), gen_random_uuid(), 'x' FROM generate_series(1, 5000); ANALYZE item"
    )
    return connection


def _plan(connection: psycopg.Connection, where: str) -> str:
    return str(connection.execute(b"EXPLAIN SELECT * FROM item WHERE " + where.encode()).fetchall())


def test_operators_use_the_index_for_one_id_and_not_for_an_array(owner: psycopg.Connection) -> None:
    with owner:
        owner.execute(OPERATORS.replace("DATABASE_NAME", owner.info.dbname).encode())
        owner.execute("SET search_path = public, bridge")
        assert "Index Scan using item_pkey" in _plan(owner, f"id = '{ID}'::varchar")
        assert "Index Scan using item_pkey" in _plan(owner, f"id = '{ID}'")
        assert "Seq Scan" in _plan(owner, f"id = ANY ('{{{ID}}}'::varchar[])")
        with pytest.raises(errors.DatatypeMismatch):
            owner.execute("INSERT INTO item VALUES ('0123abcd-0123-4567-89ab-0123456789ab'::varchar)")
        with pytest.raises(errors.UndefinedFunction):
            owner.execute("SELECT * FROM item WHERE id < '0123abcd-0123-4567-89ab-0123456789ab'::varchar")


def test_views_use_an_index_over_the_text_and_refuse_on_conflict(owner: psycopg.Connection) -> None:
    with owner:
        owner.execute(VIEWS.replace("DATABASE_NAME", owner.info.dbname).encode())
        owner.execute("ANALYZE item; SET search_path = texts, public")
        assert "item_id_idx" in _plan(owner, f"id = '{ID}'::varchar")
        assert "item_id_idx" in _plan(owner, f"id IN ('{ID}'::varchar, 'f{ID[1:]}'::varchar)")
        assert owner.execute("SELECT count(*) FROM item WHERE id LIKE 'a%'").fetchone() != (0,)
        with pytest.raises(errors.InvalidColumnReference):
            owner.execute(
                "INSERT INTO item VALUES ('0123abcd-0123-4567-89ab-0123456789ab') ON CONFLICT (id) DO NOTHING"
            )


def test_neither_casts_nor_domains_are_to_be_had(owner: psycopg.Connection) -> None:
    with owner:
        # A cast between the server's own types is its owner's to make.
        with pytest.raises(errors.InsufficientPrivilege):
            owner.execute("CREATE CAST (varchar AS uuid) WITH INOUT AS IMPLICIT")
        # A domain is the owner's own, and its casts are made and then ignored.
        owner.execute("CREATE DOMAIN public.id_of_app AS uuid")
        owner.execute("CREATE FUNCTION to_id(varchar) RETURNS id_of_app LANGUAGE sql AS 'SELECT $1::uuid'")
        owner.execute("CREATE CAST (varchar AS id_of_app) WITH FUNCTION to_id(varchar) AS IMPLICIT")
        owner.execute("CREATE TABLE of_domain (id id_of_app PRIMARY KEY)")
        with pytest.raises(errors.UndefinedFunction):
            owner.execute("SELECT * FROM of_domain WHERE id = '0123abcd-0123-4567-89ab-0123456789ab'::varchar")
        with pytest.raises(errors.DatatypeMismatch):
            owner.execute("INSERT INTO of_domain VALUES ('0123abcd-0123-4567-89ab-0123456789ab'::varchar)")
